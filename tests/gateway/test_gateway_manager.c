/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.manager as a zbus client sees it: answers, texts, replays, zero values beside errors. */
#include "modules/gateway/manager.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/call.h"
#include "bus/node.h"
#include "tests/bus/world.h"
#include "tests/gateway/made.h"
#include "tests/gateway/plane.h"
#include "tests/support/suite.h"

static struct world w;
static struct gw_config config;
static struct gw_store *store;
static struct plane plane;
static struct gw_provisioner *provisioner;
static struct gw_manager *manager;
static struct bus_caller *caller;
static uint64_t saves;
static bool disk_works; /* saves are answered at once */

/* The answer to the last call. */
static int answered;
static int rc;
static bool is_protocol;
static char error[512];
static uint8_t data[4096];
static size_t data_len;

static uint64_t ask_save(void *arg)
{
    (void)arg;
    return ++saves;
}

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    if (manager == NULL)
        return;
    gw_manager_note(manager, entry, result, ++saves);
}

static void each_usage(void *arg, gw_usage_fn *fn, void *fn_arg)
{
    struct gw_usage usage = {.rx_bytes = 230, .tx_bytes = 1543};

    (void)arg;
    fn(fn_arg, "12-345-gw", &usage);
}

static void on_answer(void *arg, const struct bus_answer *answer)
{
    (void)arg;
    answered++;
    rc = answer->rc;
    is_protocol = answer->is_protocol;
    (void)snprintf(error, sizeof(error), "%s", answer->error);
    ck_assert_uint_le(answer->data_len, sizeof(data));
    data_len = answer->data_len;
    if (data_len > 0)
        memcpy(data, answer->data, data_len);
}

static void setup(void)
{
    world_open(&w, NULL);
    memset(&plane, 0, sizeof(plane));
    made_config(&config, "[gateway]\ndomain = gw1.example.com\nverify-fqdn = no\n"
                         "public-address = 192.0.2.1\ndirect-backends = 10.0.0.0/8\n");
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    struct gw_provisioner_config prov = {.loop = w.loop,
                                         .config = &config,
                                         .store = store,
                                         .facts = {.config = &config, .public_key = MADE_KEY},
                                         .plane = plane_ops(&plane),
                                         .on_state = on_state};
    ck_assert_int_eq(gw_provisioner_new(&provisioner, &prov), ERR_OK);
    struct gw_manager_config cfg = {.loop = w.loop,
                                    .url = &w.url,
                                    .prefix = "",
                                    .module = "gateway",
                                    .workers = 4,
                                    .store = store,
                                    .provisioner = provisioner,
                                    .ask_save = ask_save,
                                    .each_usage = each_usage};
    ck_assert_int_eq(gw_manager_new(&manager, &cfg), ERR_OK);
    struct bus_caller_config call = {.loop = w.loop, .url = &w.url};
    ck_assert_int_eq(bus_caller_new(&caller, &call), ERR_OK);
    saves = 0;
    disk_works = true;
}

static void teardown(void)
{
    bus_caller_free(caller);
    gw_manager_free(manager);
    manager = NULL;
    gw_provisioner_free(provisioner);
    gw_store_free(store);
    plane_clear(&plane);
    world_close(&w);
}

static void start_call(const char *method, struct bus_pack *const *inputs, size_t count)
{
    struct bus_call_config cfg = {.module = "gateway",
                                  .object = "manager",
                                  .version = "0.0.1",
                                  .method = method,
                                  .inputs = (const struct bus_pack *const *)inputs,
                                  .input_count = count,
                                  .timeout_ms = 8000,
                                  .on_answer = on_answer};
    struct bus_call *call = NULL;

    answered = 0;
    ck_assert_int_eq(bus_call_start(&call, caller, &cfg), ERR_OK);
}

static void wait_answer(void)
{
    while (answered == 0) {
        loop_run_ms(w.loop, 5);
        if (disk_works)
            gw_manager_saved(manager, saves);
    }
}

static struct bus_pack *text_pack(const char *text)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_text(pack, text);
    return pack;
}

struct proxy {
    const char *id;
    bool passthrough;
    const char *backends[3]; /* ended by NULL */
    const char *network;     /* NULL = nil */
    const char *name;        /* for both kinds */
};

static void start_set(const char *method, const struct proxy *p)
{
    struct bus_pack *inputs[2] = {text_pack(p->id), NULL};
    size_t count = 0;

    while (count < 3 && p->backends[count] != NULL)
        count++;
    ck_assert_int_eq(bus_pack_new(&inputs[1]), ERR_OK);
    bus_pack_map(inputs[1], 4);
    bus_pack_text(inputs[1], "TLSPassthrough");
    bus_pack_bool(inputs[1], p->passthrough);
    bus_pack_text(inputs[1], "Backends");
    bus_pack_array(inputs[1], count);
    for (size_t i = 0; i < count; i++)
        bus_pack_text(inputs[1], p->backends[i]);
    bus_pack_text(inputs[1], "Network");
    if (p->network != NULL)
        bus_pack_text(inputs[1], p->network);
    else
        bus_pack_nil(inputs[1]);
    bus_pack_text(inputs[1], strcmp(method, "SetFQDNProxy") == 0 ? "FQDN" : "Name");
    bus_pack_text(inputs[1], p->name);
    start_call(method, inputs, 2);
    bus_pack_free(inputs[0]);
    bus_pack_free(inputs[1]);
}

static void set(const char *method, const struct proxy *p)
{
    start_set(method, p);
    wait_answer();
}

static void delete (const char *id)
{
    struct bus_pack *input = text_pack(id);

    start_call("DeleteNamedProxy", &input, 1);
    bus_pack_free(input);
    wait_answer();
}

static const char *data_text(void)
{
    static char text[512];
    struct bus_tree *tree = NULL;

    ck_assert_int_eq(bus_tree_new(&tree, data, data_len, NULL), ERR_OK);
    ck_assert(bus_node_copy(bus_tree_root(tree), text, sizeof(text)));
    bus_tree_free(tree);
    return text;
}

static const struct proxy web = {
    .id = "12-345-gw", .backends = {"tunnel:" MADE_KEY "/web"}, .name = "web"};

START_TEST(test_manager_named_proxy_answers_its_host)
{
    set("SetNamedProxy", &web);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_str_eq(data_text(), "web.gw1.example.com");
    ck_assert_uint_eq(plane_get(&plane, "12-345-gw")->twin, 12);
    ck_assert_int_eq(gw_store_find(store, GW_OWNER_ZBUS, "12-345-gw")->owner, GW_OWNER_ZBUS);
}
END_TEST

START_TEST(test_manager_replay_of_the_same_id_is_fine)
{
    set("SetNamedProxy", &web);
    set("SetNamedProxy", &web);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_str_eq(data_text(), "web.gw1.example.com");
    ck_assert_uint_eq(plane.sets, 1);
}
END_TEST

START_TEST(test_manager_answer_waits_for_the_disk)
{
    disk_works = false;
    start_set("SetNamedProxy", &web);
    loop_run_ms(w.loop, 200);
    ck_assert_int_eq(answered, 0);
    ck_assert_uint_eq(plane_count(&plane), 1); /* served meanwhile */
    disk_works = true;
    wait_answer();
    ck_assert_int_eq(rc, ERR_OK);
}
END_TEST

/* A caller that lost patience asks again while the first call still waits for the disk. */
START_TEST(test_manager_same_call_under_way_shares_its_outcome)
{
    struct proxy other = web;

    disk_works = false;
    start_set("SetNamedProxy", &web);
    loop_run_ms(w.loop, 100);
    start_set("SetNamedProxy", &web);
    loop_run_ms(w.loop, 100);
    ck_assert_int_eq(answered, 0);
    other.name = "shop";
    set("SetNamedProxy", &other);
    ck_assert_str_eq(error, "another call about this workload is under way");
    answered = 0;
    disk_works = true;
    while (answered < 2) {
        loop_run_ms(w.loop, 5);
        gw_manager_saved(manager, saves);
        ck_assert(answered == 0 || rc == ERR_OK);
    }
    ck_assert_str_eq(data_text(), "web.gw1.example.com");
    ck_assert_uint_eq(plane.sets, 1);
}
END_TEST

START_TEST(test_manager_taken_name_is_refused_beside_a_zero_value)
{
    struct proxy other = web;

    set("SetNamedProxy", &web);
    other.id = "13-1-gw";
    set("SetNamedProxy", &other);
    ck_assert_int_eq(rc, ERR_REFUSED);
    ck_assert(!is_protocol);
    ck_assert_str_eq(error, "domain already registered: web.gw1.example.com");
    ck_assert_str_eq(data_text(), "");
    ck_assert_uint_eq(gw_store_count(store), 1);
}
END_TEST

static const struct {
    const char *method;
    struct proxy proxy;
    const char *want;
} refused[] = {
    {"SetNamedProxy", {.id = "1-1-a", .name = "a"}, "backends list can not be empty"},
    {"SetNamedProxy",
     {.id = "1-1-a", .backends = {"http://10.1.1.1"}, .network = "net", .name = "a"},
     "failed to get user network: private networks are not supported on this node"},
    {"SetNamedProxy",
     {.id = "1-1-a", .backends = {"http://11.1.1.1"}, .name = "a"},
     "does not dial"},
    {"SetNamedProxy",
     {.id = "1-1-a", .backends = {"http://192.0.2.1"}, .name = "a"},
     "points to the node's own public IP address"},
    {"SetNamedProxy",
     {.id = "1-1-a", .backends = {"http://host:80"}, .name = "a"},
     "failed to validate backend 'http://host:80': invalid ip address in backend: host"},
    {"SetNamedProxy",
     {.id = "1-1-a", .passthrough = true, .backends = {"10.1.1.1"}, .name = "a"},
     "failed to validate backend '10.1.1.1': failed to parse backend 10.1.1.1 with error: "},
    {"SetNamedProxy",
     {.id = "1-1-a", .backends = {"http://10.1.1.1"}, .name = "a.b"},
     "name a.b is invalid"},
    {"SetNamedProxy",
     {.id = "gw", .backends = {"http://10.1.1.1"}, .name = "a"},
     "invalid workload id: expected integer"},
    {"SetFQDNProxy",
     {.id = "1-1-a", .backends = {"http://10.1.1.1"}, .name = "x.gw1.example.com"},
     "can't create a fqdn workload with a subdomain of the gateway's managed domain"},
    {"SetFQDNProxy", {.id = "1-1-a", .name = "a.example.org"}, "backends list can not be empty"},
};

START_TEST(test_manager_refusals_leave_nothing)
{
    set(refused[_i].method, &refused[_i].proxy);
    ck_assert_int_eq(rc, ERR_REFUSED);
    ck_assert(!is_protocol);
    ck_assert_msg(strstr(error, refused[_i].want) != NULL, "%s", error);
    ck_assert_uint_gt(data_len, 0); /* Go stubs decode it even beside an error */
    loop_run_ms(w.loop, 20);
    ck_assert_uint_eq(gw_store_count(store), 0);
    ck_assert_uint_eq(plane_count(&plane), 0);
}
END_TEST

START_TEST(test_manager_bad_update_keeps_the_old)
{
    struct proxy next = web;

    set("SetNamedProxy", &web);
    next.backends[0] = "http://11.1.1.1:80";
    set("SetNamedProxy", &next);
    ck_assert_int_eq(rc, ERR_REFUSED);
    loop_run_ms(w.loop, 20);
    ck_assert_uint_eq(plane_count(&plane), 1);
    ck_assert(plane_get(&plane, "12-345-gw")->backends[0].tunnel);
}
END_TEST

START_TEST(test_manager_good_update_replaces)
{
    struct proxy next = web;

    set("SetNamedProxy", &web);
    next.backends[0] = "http://10.1.1.1:80";
    next.name = "shop";
    set("SetNamedProxy", &next);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_str_eq(data_text(), "shop.gw1.example.com");
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

START_TEST(test_manager_fqdn_proxy_and_delete)
{
    static const struct proxy p = {.id = "12-1-f",
                                   .passthrough = true,
                                   .backends = {"10.1.1.1:443", "[2001:db8::1]:443"},
                                   .name = "www.example.org"};
    static const struct proxy one = {.id = "12-1-f",
                                     .passthrough = true,
                                     .backends = {"10.1.1.1:443"},
                                     .name = "www.example.org"};

    set("SetFQDNProxy", &p);
    ck_assert_int_eq(rc, ERR_REFUSED); /* the second backend is not covered */
    set("SetFQDNProxy", &one);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_uint_eq(data_len, 1); /* c0: void, for Go and Rust */
    delete ("12-1-f");
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_uint_eq(plane_count(&plane), 0);
    delete ("12-1-f");
    ck_assert_int_eq(rc, ERR_OK);
}
END_TEST

/* A caller that gave up cleans up behind itself, and asks twice. */
START_TEST(test_manager_delete_ends_what_is_still_being_set)
{
    struct bus_pack *id = text_pack("12-345-gw");

    disk_works = false;
    start_set("SetNamedProxy", &web);
    loop_run_ms(w.loop, 100);
    start_call("DeleteNamedProxy", &id, 1);
    wait_answer();
    ck_assert_str_eq(error, "deleted meanwhile");
    ck_assert_uint_eq(plane_count(&plane), 0);
    start_call("DeleteNamedProxy", &id, 1);
    loop_run_ms(w.loop, 100);
    ck_assert_int_eq(answered, 0); /* neither is on the disk */
    disk_works = true;
    while (answered < 2) {
        loop_run_ms(w.loop, 5);
        gw_manager_saved(manager, saves);
        ck_assert(answered == 0 || rc == ERR_OK);
    }
    ck_assert_uint_eq(gw_store_count(store), 0);
    bus_pack_free(id);
}
END_TEST

START_TEST(test_manager_does_not_touch_the_agents)
{
    struct gw_entry *entry = made_entry(store, "a", made_name("a", "web"));
    struct proxy p = web;

    gw_provision_apply(provisioner, entry);
    delete ("7-1-a");
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_uint_eq(plane_count(&plane), 1);
    p.id = "7-1-a";
    p.name = "other";
    set("SetNamedProxy", &p);
    ck_assert_int_eq(rc, ERR_REFUSED);
    ck_assert_str_eq(plane_get(&plane, "7-1-a")->host, "web.gw1.example.com");
}
END_TEST

START_TEST(test_manager_metrics_by_id)
{
    struct bus_tree *tree = NULL;
    const struct bus_node *request, *response;
    double value = 0;

    start_call("Metrics", NULL, 0);
    wait_answer();
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_int_eq(bus_tree_new(&tree, data, data_len, NULL), ERR_OK);
    request = bus_node_get(bus_tree_root(tree), "Request");
    response = bus_node_get(bus_tree_root(tree), "Response");
    ck_assert(bus_node_real(bus_node_get(request, "12-345-gw"), &value) && value == 230.0);
    ck_assert(bus_node_real(bus_node_get(response, "12-345-gw"), &value) && value == 1543.0);
    bus_tree_free(tree);
}
END_TEST

START_TEST(test_manager_odd_arguments_are_protocol_errors)
{
    struct bus_pack *inputs[2] = {text_pack("1-1-a"), text_pack("no struct")};

    start_call("SetNamedProxy", inputs, 2);
    wait_answer();
    ck_assert(is_protocol);
    ck_assert_str_eq(error, "invalid argument type [1] expecting zos.GatewayNameProxy got");
    bus_pack_free(inputs[0]);
    bus_pack_free(inputs[1]);
}
END_TEST

START_TEST(test_manager_free_with_calls_under_way)
{
    disk_works = false;
    start_set("SetNamedProxy", &web);
    loop_run_ms(w.loop, 100);
    gw_manager_free(manager);
    manager = NULL;
    loop_run_ms(w.loop, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/manager");
    TCase *tc = tcase_create("zbus");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_manager_named_proxy_answers_its_host);
    tcase_add_test(tc, test_manager_replay_of_the_same_id_is_fine);
    tcase_add_test(tc, test_manager_answer_waits_for_the_disk);
    tcase_add_test(tc, test_manager_same_call_under_way_shares_its_outcome);
    tcase_add_test(tc, test_manager_taken_name_is_refused_beside_a_zero_value);
    tcase_add_loop_test(tc, test_manager_refusals_leave_nothing, 0, COUNT(refused));
    tcase_add_test(tc, test_manager_bad_update_keeps_the_old);
    tcase_add_test(tc, test_manager_good_update_replaces);
    tcase_add_test(tc, test_manager_fqdn_proxy_and_delete);
    tcase_add_test(tc, test_manager_delete_ends_what_is_still_being_set);
    tcase_add_test(tc, test_manager_does_not_touch_the_agents);
    tcase_add_test(tc, test_manager_metrics_by_id);
    tcase_add_test(tc, test_manager_odd_arguments_are_protocol_errors);
    tcase_add_test(tc, test_manager_free_with_calls_under_way);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
