/* SPDX-License-Identifier: Apache-2.0 */
/* One way to a service: through a session or directly; what it counts, and every early end. */
#include "modules/gateway/way.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define FIRST "GET / HTTP/1.1\r\n"

static struct seat seat;
static struct gw_site *site;
static struct seat_connector connector;
static struct gw_session *session;
static struct addr peer, local;
static struct gw_way *way;
static int visitor[2]; /* the visitor's end, ours; -1 once the way has it */
static unsigned opened, done, failed;
static uint64_t done_rx, done_tx;
static enum gw_reason reason;
static bool has_key;
static char what[300];

static void setup(void)
{
    opened = done = failed = 0;
    way = NULL;
    seat_init(&seat);
    site = seat_site("7-1-blog", 1);
    seat_bind(&seat, site);
    seat_join(&seat, &connector, 1, 1);
    session = gw_registry_first(seat.registry, site->exposure->backends[0].key);
    LOOP_UNTIL(seat.loop, connector.accepted);
    ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:1234"), ERR_OK);
    ck_assert_int_eq(addr_parse(&local, "127.0.0.1:80"), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, visitor), 0);
}

static void teardown(void)
{
    gw_way_free(way);
    close(visitor[0]);
    if (visitor[1] >= 0)
        close(visitor[1]);
    seat_leave(&connector);
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}

static void on_open(void *arg)
{
    (void)arg;
    opened++;
    ck_assert_int_eq(gw_way_carry(way, visitor[1], 60000), ERR_OK);
    visitor[1] = -1;
}

static bool has_other(void *arg)
{
    (void)arg;
    return false;
}

static void on_failed(void *arg, const struct gw_way_failure *failure)
{
    (void)arg;
    way = NULL;
    failed++;
    reason = failure->reason;
    has_key = failure->connector != NULL;
    strcpy(what, failure->what);
}

static void on_done(void *arg, uint64_t rx_bytes, uint64_t tx_bytes)
{
    (void)arg;
    way = NULL;
    done++;
    done_rx = rx_bytes;
    done_tx = tx_bytes;
}

static int start(uint64_t open_timeout_ms)
{
    const struct gw_way_config cfg = {
        .loop = seat.loop,
        .site = site,
        .pick = {.target = {0, session != NULL ? session->serial : 0}, .session = session},
        .kind = TUN_KIND_HTTP,
        .name = "blog.gw.example",
        .peer = &peer,
        .local = &local,
        .first = (const uint8_t *)FIRST,
        .first_len = strlen(FIRST),
        .open_timeout_ms = open_timeout_ms,
        .on_open = on_open,
        .has_other = has_other,
        .on_failed = on_failed,
        .on_done = on_done,
    };

    return gw_way_start(&way, &cfg);
}

/* Carrying, with the connector's end of the stream in connector.streams[0]. */
static void carry(void)
{
    ck_assert_int_eq(start(5000), ERR_OK);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    tun_stream_accept(connector.streams[0]);
    link_session_touch(connector.session);
    LOOP_UNTIL(seat.loop, opened == 1);
}

/* Nothing of the way is left in the numbers. */
static void ck_settled(void)
{
    ck_assert_uint_eq(site->active, 0);
    ck_assert_uint_eq(site->direct_active[0], 0);
    if (session != NULL && gw_registry_count(seat.registry) == 1)
        ck_assert_uint_eq(session->active, 0);
}

START_TEST(test_way_counts_only_what_was_carried_and_once)
{
    uint64_t rx, tx;

    ck_assert_int_eq(start(5000), ERR_OK);
    ck_assert_uint_eq(session->active, 1);
    ck_assert_uint_eq(site->connections, 0);
    gw_way_bytes(way, &rx, &tx);
    ck_assert(rx == 0 && tx == 0);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    tun_stream_accept(connector.streams[0]);
    link_session_touch(connector.session);
    LOOP_UNTIL(seat.loop, opened == 1);
    ck_assert_uint_eq(site->connections, 1);
    ck_assert_uint_eq(site->active, 1);
    gw_way_bytes(way, &rx, &tx);
    ck_assert_uint_eq(rx, strlen(FIRST));
    gw_way_free(way);
    way = NULL;
    ck_assert_uint_eq(site->rx_bytes, strlen(FIRST));
    ck_assert_uint_eq(site->tx_bytes, 0);
    ck_settled();
}
END_TEST

START_TEST(test_way_that_is_refused_tells_the_words_and_marks_the_backend)
{
    ck_assert_int_eq(start(5000), ERR_OK);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    tun_stream_refuse(connector.streams[0], TUN_CODE_UNREACHABLE, "no route");
    link_session_touch(connector.session);
    LOOP_UNTIL(seat.loop, failed == 1);
    ck_assert_int_eq(reason, GW_REASON_BACKEND_REFUSED);
    ck_assert(has_key);
    ck_assert_ptr_nonnull(strstr(what, "no route"));
    ck_assert(gw_site_is_faulty(site, &(struct gw_target){0, session->serial}, clock_mono_ms()));
    ck_assert_uint_eq(site->connections, 0);
    ck_settled();
}
END_TEST

START_TEST(test_way_without_an_answer_ends_in_time_and_resets_the_stream)
{
    ck_assert_int_eq(start(50), ERR_OK);
    LOOP_UNTIL(seat.loop, failed == 1);
    ck_assert_int_eq(reason, GW_REASON_OPEN_TIMEOUT);
    LOOP_UNTIL(seat.loop, connector.reset);
    ck_settled();
}
END_TEST

START_TEST(test_way_whose_session_ends_is_no_fault_of_the_backend)
{
    ck_assert_int_eq(start(5000), ERR_OK);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    seat_leave(&connector);
    LOOP_UNTIL(seat.loop, failed == 1);
    ck_assert_int_eq(reason, GW_REASON_NO_CONNECTOR);
    ck_assert_uint_eq(site->faults[0].until_ms, 0);
    ck_settled();
}
END_TEST

START_TEST(test_way_that_opens_forgets_earlier_failures)
{
    const struct gw_target target = {0, session->serial};

    gw_site_fault(site, &target, clock_mono_ms());
    carry();
    ck_assert(!gw_site_is_faulty(site, &target, clock_mono_ms()));
}
END_TEST

START_TEST(test_way_in_use_ends_with_its_session)
{
    carry();
    seat_leave(&connector);
    LOOP_UNTIL(seat.loop, done == 1);
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_eq(site->rx_bytes, strlen(FIRST));
    ck_assert(done_rx == strlen(FIRST) && done_tx == 0);
    ck_settled();
}
END_TEST

START_TEST(test_way_in_use_ends_with_its_visitor)
{
    carry();
    close(visitor[0]);
    visitor[0] = -1;
    tun_stream_finish(connector.streams[0]);
    link_session_touch(connector.session);
    LOOP_UNTIL(seat.loop, done == 1);
    ck_settled();
}
END_TEST

START_TEST(test_way_can_be_freed_in_every_state)
{
    ck_assert_int_eq(start(5000), ERR_OK);
    if (_i >= 1)
        LOOP_UNTIL(seat.loop, connector.opens == 1);
    if (_i == 2) {
        tun_stream_accept(connector.streams[0]);
        link_session_touch(connector.session);
        LOOP_UNTIL(seat.loop, opened == 1);
    }
    gw_way_free(way);
    way = NULL;
    gw_way_free(NULL);
    ck_settled();
    if (_i > 0)
        LOOP_UNTIL(seat.loop, connector.reset);
    ck_assert_uint_eq(failed + done, 0);
}
END_TEST

/* OPEN is sealed and lost with its link; the connector asks for nothing it never heard of. */
START_TEST(test_way_opens_again_when_the_link_took_its_open_along)
{
    struct tun_connector_info info = {.epoch = 1, .name = "web-1", .version = "test"};
    char got[sizeof(FIRST)] = {0};

    memset(info.instance, 1, sizeof(info.instance));
    ck_assert_int_eq(start(5000), ERR_OK);
    seat_cut(&connector, 0);
    LOOP_UNTIL(seat.loop, seat.link_losses == 1 && connector.losses == 1);
    ck_assert_uint_eq(connector.opens, 0);
    seat_link(&seat, &connector, 1, &info);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    tun_stream_accept(connector.streams[0]);
    link_session_touch(connector.session);
    LOOP_UNTIL(seat.loop, opened == 1);
    LOOP_UNTIL(seat.loop, tun_stream_waiting(connector.streams[0]) == strlen(FIRST));
    for (size_t n = 0, len; n < strlen(FIRST); n += len) {
        const uint8_t *data = tun_stream_peek(connector.streams[0], &len);

        memcpy(got + n, data, len);
        tun_stream_consume(connector.streams[0], len);
    }
    ck_assert_str_eq(got, FIRST);
    ck_assert_uint_eq(failed, 0);
}
END_TEST

START_TEST(test_way_stays_while_its_backend_is_named_wherever_it_stands)
{
    struct gw_exposure *e = site->exposure;

    carry();
    e->backends[1] = e->backends[0];
    e->backends[0].service[0] = 'x';
    e->backend_count = 2;
    ck_assert(gw_way_readmit(way));
    e->backends[1].key[0] ^= 1;
    ck_assert(!gw_way_readmit(way));
    e->backends[1].key[0] ^= 1;
    session->twin = e->twin + 1; /* another tenant's now */
    ck_assert(!gw_way_readmit(way));
    session->twin = 0;
    e->backends[0] = e->backends[1];
    e->backend_count = 1;
    ck_assert(gw_way_readmit(way));
}
END_TEST

/* --- direct --- */

/* The exposure's backend becomes a listening socket of ours, which is returned. */
static int go_direct(void)
{
    struct gw_backend *backend = &site->exposure->backends[0];
    struct sockaddr_in sin;
    int fd = tcp_listen(&sin);

    gw_registry_unbind(seat.registry, site, site->exposure);
    session = NULL;
    memset(backend, 0, sizeof(*backend));
    ck_assert_int_eq(addr_from_ip(&backend->addr, "127.0.0.1", ntohs(sin.sin_port)), ERR_OK);
    return fd;
}

START_TEST(test_way_direct_counts_no_proxy_header_as_the_visitors)
{
    int listener = go_direct(), service;
    char got[200] = {0};

    site->exposure->proxy_protocol = GW_PROXY_V1;
    ck_assert_int_eq(start(5000), ERR_OK);
    ck_assert_uint_eq(site->direct_active[0], 1);
    LOOP_UNTIL(seat.loop, opened == 1);
    service = accept(listener, NULL, NULL);
    LOOP_UNTIL(seat.loop, recv(service, got, sizeof(got) - 1, MSG_DONTWAIT) > 0);
    ck_assert_int_eq(strncmp(got, "PROXY TCP4 192.0.2.7 ", 21), 0);
    ck_assert_ptr_nonnull(strstr(got, "\r\n" FIRST));
    gw_way_free(way);
    way = NULL;
    ck_assert_uint_eq(site->rx_bytes, strlen(FIRST));
    ck_settled();
    close(service);
    close(listener);
}
END_TEST

START_TEST(test_way_direct_that_nobody_answers_is_refused)
{
    close(go_direct());
    ck_assert_int_eq(start(5000), ERR_OK);
    LOOP_UNTIL(seat.loop, failed == 1);
    ck_assert_int_eq(reason, GW_REASON_BACKEND_REFUSED);
    ck_assert(!has_key);
    ck_assert(gw_site_is_faulty(site, &(struct gw_target){0, 0}, clock_mono_ms()));
    ck_settled();
}
END_TEST

START_TEST(test_way_direct_is_counted_again_in_its_new_place)
{
    int listener = go_direct();
    struct gw_exposure *e = site->exposure;

    ck_assert_int_eq(start(5000), ERR_OK);
    LOOP_UNTIL(seat.loop, opened == 1);
    e->backends[1] = e->backends[0];
    ck_assert_int_eq(addr_parse(&e->backends[0].addr, "127.0.0.1:1"), ERR_OK);
    e->backend_count = 2;
    memset(site->direct_active, 0, sizeof(site->direct_active)); /* as the worker does */
    ck_assert(gw_way_readmit(way));
    ck_assert_uint_eq(site->direct_active[0], 0);
    ck_assert_uint_eq(site->direct_active[1], 1);
    gw_way_free(way);
    way = NULL;
    ck_assert_uint_eq(site->direct_active[1], 0);
    close(listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_way");
    TCase *tc = tcase_create("way");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_way_counts_only_what_was_carried_and_once);
    tcase_add_test(tc, test_way_that_is_refused_tells_the_words_and_marks_the_backend);
    tcase_add_test(tc, test_way_without_an_answer_ends_in_time_and_resets_the_stream);
    tcase_add_test(tc, test_way_whose_session_ends_is_no_fault_of_the_backend);
    tcase_add_test(tc, test_way_that_opens_forgets_earlier_failures);
    tcase_add_test(tc, test_way_in_use_ends_with_its_session);
    tcase_add_test(tc, test_way_in_use_ends_with_its_visitor);
    tcase_add_loop_test(tc, test_way_can_be_freed_in_every_state, 0, 3);
    tcase_add_test(tc, test_way_opens_again_when_the_link_took_its_open_along);
    tcase_add_test(tc, test_way_stays_while_its_backend_is_named_wherever_it_stands);
    tcase_add_test(tc, test_way_direct_counts_no_proxy_header_as_the_visitors);
    tcase_add_test(tc, test_way_direct_that_nobody_answers_is_refused);
    tcase_add_test(tc, test_way_direct_is_counted_again_in_its_new_place);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
