/* SPDX-License-Identifier: Apache-2.0 */
/* The checks are a table; an answer is printed as text and compared with the wanted one. */
#include "tests/bus/compat_client.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/call.h"
#include "bus/event.h"
#include "bus/node.h"
#include "tests/bus/compat_server.h"

#define TICKS 3
#define NUMBERS 3

struct check {
    const char *name;
    const char *wants; /* as print_answer has it; "" = judged where it arrives */
    const char *object, *method;
    size_t count; /* arguments: numbers, or the text */
    double numbers[NUMBERS];
    const char *text; /* instead of numbers */
    bool list;        /* the numbers are one argument */
    bool more;        /* not in the reference's suite */
};

#define CALC .object = "calculator"
#define UTIL .object = "utils"
#define NO "protocol error: "
static const struct check checks[] = {
    {"Add", "3", CALC, .method = "Add", .count = 2, .numbers = {1, 2}},
    {"Pow", "4", CALC, .method = "Pow", .count = 2, .numbers = {2, 2}},
    {"Divide", "2", CALC, .method = "Divide", .count = 2, .numbers = {4, 2}},
    {"Divide by zero", "0, error: division by zero", CALC, .method = "Divide", .count = 2,
     .numbers = {2, 0}},
    {"Avg", "10", CALC, .method = "Avg", .count = 3, .numbers = {10, 10, 10}, .list = true},
    {"Capitalize", "\"HELLO WORLD\"", UTIL, .method = "Capitalize", .count = 1,
     .text = "hello world"},
    {"TikTok", "", UTIL, .method = NULL},
    {"AddSub", "[8 2]", CALC, .method = "AddSub", .count = 2, .numbers = {5, 3}, .more = true},
    {"Tuple", "[10 \"hello world\" 0.5]", UTIL, .method = "Tuple", .more = true},
    {"Panic", NO "remote method call utils@1.0.Panic() paniced: Aaaaah!", UTIL, .method = "Panic",
     .more = true},
    {"Sleep", "nil", UTIL, .method = "Sleep", .count = 1, .numbers = {1e7}, .more = true},
    {"not a function", NO "not a function", UTIL, .method = "NoSuch", .more = true},
    {"too few arguments", NO "invalid number of arguments expecting 2 got 1", CALC, .method = "Pow",
     .count = 1, .more = true},
    {"wrong type", NO "invalid argument type [0] expecting float64 got", CALC, .method = "Pow",
     .count = 2, .text = "text", .more = true},
    {"status", "", .object = "zbus", .method = "", .more = true},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

/* One check while it runs. */
struct run {
    const struct check *check;
    struct ev_loop *loop;
    const struct bus_url *url;
    double limit_s;
    bool over;
    int ticks;
    bool ok; /* of those that judge for themselves */
    char got[COMPAT_WHY_MAX];
};

/* ---- what came ---- */

static void print_node(FILE *out, const struct bus_node *node)
{
    const char *text;
    size_t len;
    double real;

    if (bus_node_is_nil(node)) {
        (void)fprintf(out, "nil");
    } else if (bus_node_real(node, &real)) {
        (void)fprintf(out, "%g", real);
    } else if (bus_node_text(node, &text, &len)) {
        (void)fprintf(out, "\"%.*s\"", (int)len, text);
    } else if (bus_node_is_array(node)) {
        for (size_t i = 0; i < bus_node_count(node); i++) {
            (void)fputc(i == 0 ? '[' : ' ', out);
            print_node(out, bus_node_at(node, i));
        }
        (void)fputc(']', out);
    } else {
        (void)fprintf(out, "?");
    }
}

static void print_answer(struct run *run, const struct bus_answer *answer)
{
    struct bus_tree *tree = NULL;
    FILE *out = fmemopen(run->got, sizeof(run->got), "w");

    if (out == NULL)
        return;
    if (answer->is_protocol) {
        (void)fprintf(out, "protocol error: %s", answer->error);
    } else if (answer->rc != ERR_OK && answer->rc != ERR_REFUSED) {
        (void)fprintf(out, "%s: %s", err_text(answer->rc), answer->error);
    } else {
        if (answer->data == NULL)
            (void)fprintf(out, "nil");
        else if (bus_tree_new(&tree, answer->data, answer->data_len, NULL) == ERR_OK)
            print_node(out, bus_tree_root(tree));
        else
            (void)fprintf(out, "no value");
        if (answer->rc != ERR_OK)
            (void)fprintf(out, ", error: %s", answer->error);
    }
    bus_tree_free(tree);
    (void)fclose(out);
}

/* Both objects and at least one worker. */
static bool is_status(const struct bus_answer *answer)
{
    struct bus_tree *tree = NULL;
    const struct bus_node *root;
    bool ok;

    if (answer->rc != ERR_OK || bus_tree_new(&tree, answer->data, answer->data_len, NULL) != ERR_OK)
        return false;
    root = bus_tree_root(tree);
    ok = bus_node_count(bus_node_get(root, "Objects")) >= 2 &&
         bus_node_count(bus_node_get(root, "Workers")) >= 1;
    bus_tree_free(tree);
    return ok;
}

static void on_answer(void *arg, const struct bus_answer *answer)
{
    struct run *run = arg;

    print_answer(run, answer);
    run->ok = strcmp(run->check->object, "zbus") == 0 && is_status(answer);
    run->over = true;
    ev_break(run->loop, EVBREAK_ALL);
}

/* ---- calls ---- */

static struct bus_pack *make_input(const struct check *check, size_t i)
{
    struct bus_pack *pack = NULL;

    if (bus_pack_new(&pack) != ERR_OK)
        return NULL;
    if (check->text != NULL)
        bus_pack_text(pack, check->text);
    else if (strcmp(check->name, "Sleep") == 0)
        bus_pack_i64(pack, (int64_t)check->numbers[0]); /* time.Duration */
    else if (!check->list)
        bus_pack_real(pack, check->numbers[i]);
    if (check->list)
        bus_pack_array(pack, check->count);
    for (size_t j = 0; check->list && j < check->count; j++)
        bus_pack_real(pack, check->numbers[j]);
    return pack;
}

static void run_call(struct run *run)
{
    const struct check *check = run->check;
    struct bus_caller_config caller_cfg = {.loop = run->loop, .url = run->url, .lines = 1};
    struct bus_pack *inputs[NUMBERS] = {NULL};
    struct bus_call_config cfg = {.module = COMPAT_MODULE,
                                  .object = check->object,
                                  .version = COMPAT_VERSION,
                                  .method = check->method,
                                  .inputs = (const struct bus_pack *const *)inputs,
                                  .input_count = check->list ? 1 : check->count,
                                  .timeout_ms = (uint32_t)(run->limit_s * 1000),
                                  .on_answer = on_answer,
                                  .arg = run};
    struct bus_caller *caller = NULL;
    struct bus_call *call = NULL;

    for (size_t i = 0; i < cfg.input_count; i++)
        inputs[i] = make_input(check, i);
    if (bus_caller_new(&caller, &caller_cfg) == ERR_OK &&
        bus_call_start(&call, caller, &cfg) == ERR_OK)
        (void)ev_run(run->loop, 0);
    bus_caller_free(caller);
    for (size_t i = 0; i < NUMBERS; i++)
        bus_pack_free(inputs[i]);
}

/* ---- events ---- */

static void on_event(void *arg, const char *channel, const void *data, size_t len)
{
    struct run *run = arg;
    struct bus_tree *tree = NULL;
    uint32_t nsec;
    int64_t sec;

    (void)channel;
    run->ok = bus_tree_new(&tree, data, len, NULL) == ERR_OK &&
              bus_node_time(bus_tree_root(tree), &sec, &nsec) &&
              llabs(sec - (int64_t)(clock_unix_ms() / 1000)) < 60;
    bus_tree_free(tree);
    (void)snprintf(run->got, sizeof(run->got), "event %d is no time of now", ++run->ticks);
    if (!run->ok || run->ticks == TICKS)
        ev_break(run->loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct run *run = w->data;

    (void)revents;
    run->ok = false;
    (void)snprintf(run->got, sizeof(run->got), "%d events in %g s", run->ticks, run->limit_s);
    ev_break(loop, EVBREAK_ALL);
}

static void run_events(struct run *run)
{
    char channel[BUS_KEY_CAP];
    const char *channels[] = {
        bus_event_zbus(channel, COMPAT_MODULE, "utils", COMPAT_VERSION, "TikTok")};
    struct bus_subscriber_config cfg = {.loop = run->loop,
                                        .url = run->url,
                                        .channels = channels,
                                        .count = 1,
                                        .on_message = on_event,
                                        .arg = run};
    struct bus_subscriber *subscriber = NULL;
    ev_timer late;

    ev_timer_init(&late, on_late, run->limit_s, 0.0);
    late.data = run;
    ev_timer_start(run->loop, &late);
    if (bus_subscriber_new(&subscriber, &cfg) == ERR_OK)
        (void)ev_run(run->loop, 0);
    bus_subscriber_free(subscriber);
    ev_timer_stop(run->loop, &late);
}

/* ---- */

size_t compat_check_count(void)
{
    return CHECKS;
}

const char *compat_check_name(size_t i)
{
    return checks[i].name;
}

bool compat_check_is_reference(size_t i)
{
    return !checks[i].more;
}

bool compat_check_run(size_t i, const struct bus_url *url, double limit_s, char why[COMPAT_WHY_MAX])
{
    const char *wants = checks[i].wants;
    struct run run = {.check = &checks[i], .url = url, .limit_s = limit_s};

    run.loop = ev_loop_new(EVFLAG_AUTO);
    if (run.loop == NULL)
        return false;
    if (checks[i].method == NULL)
        run_events(&run);
    else
        run_call(&run);
    ev_loop_destroy(run.loop);
    if (wants[0] != '\0')
        run.ok = strcmp(run.got, wants) == 0;
    if (!run.ok)
        (void)snprintf(why, COMPAT_WHY_MAX, "%.200s instead of %.200s", run.got,
                       wants[0] != '\0' ? wants : "what it should be");
    return run.ok;
}
