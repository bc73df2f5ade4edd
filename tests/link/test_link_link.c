/* SPDX-License-Identifier: Apache-2.0 */
/* Two links over TCP: bytes, batches, ends of every kind. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/link/duo.h"
#include "tests/support/suite.h"

/* What the ops saw. */
static struct {
    struct tun_stream *served; /* the connector's end of the last stream */
    int opened, accepted, rejected, closed, resets;
    enum tun_code reset_code, notice_code;
    size_t received, wrong;
    bool eof;
    bool close_on_data; /* the connector's link is closed inside on_data */
    struct duo *duo;
} seen;

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 >> 5);
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    (void)arg;
    ck_assert_str_eq(open->workload, "7-1-x");
    seen.opened++;
    seen.served = stream;
    tun_stream_accept(stream);
}

static void on_accept(void *arg, const struct tun_accept *accept)
{
    (void)arg;
    (void)accept;
    seen.accepted++;
}

static void on_reject(void *arg, const struct tun_notice *notice)
{
    (void)arg;
    seen.rejected++;
    seen.notice_code = notice->code;
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    (void)arg;
    seen.closed++;
    seen.notice_code = notice->code;
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    (void)user;
    (void)stream;
    for (size_t i = 0; i < len; i++)
        seen.wrong += data[i] != pattern(seen.received + i);
    seen.received += len;
    if (seen.close_on_data)
        link_close(seen.duo->connector.link, TUN_CODE_SHUTDOWN, "");
    return len;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    (void)user;
    seen.eof = tun_stream_eof(stream);
}

static void on_reset(void *user, enum tun_code code)
{
    (void)user;
    seen.resets++;
    seen.reset_code = code;
}

static const struct tun_session_ops connector_ops = {.on_accept = on_accept,
                                                     .on_reject = on_reject,
                                                     .on_close = on_close,
                                                     .on_open = on_open,
                                                     .on_data = on_data,
                                                     .on_readable = on_readable,
                                                     .on_reset = on_reset};
static const struct tun_session_ops gateway_ops = {.on_close = on_close, .on_reset = on_reset};

static void setup(struct duo *d)
{
    memset(&seen, 0, sizeof(seen));
    seen.duo = d;
    duo_start(d, &connector_ops, &gateway_ops, NULL);
}

/* A stream from the gateway that the connector accepted. */
static struct tun_stream *open_stream(struct duo *d)
{
    struct tun_open open = duo_open("web");
    struct tun_stream *stream;

    ck_assert_int_eq(tun_stream_open(&stream, link_session(d->gateway.link), &open, d), ERR_OK);
    link_touch(d->gateway.link);
    LOOP_UNTIL(d->loop, seen.opened > 0);
    return stream;
}

START_TEST(test_link_carries_a_stream_to_its_end)
{
    size_t total = 20u << 20, sent = 0;
    struct tun_stream *stream;
    struct duo d;

    setup(&d);
    duo_accept(&d);
    ck_assert_int_eq(seen.accepted, 1);
    stream = open_stream(&d);
    while (sent < total) {
        size_t room = total - sent < 65536 ? total - sent : 65536;
        uint8_t *at = tun_stream_reserve(stream, &room);

        if (at == NULL) {
            ev_run(d.loop, EVRUN_ONCE);
            continue;
        }
        for (size_t i = 0; i < room; i++)
            at[i] = pattern(sent + i);
        tun_stream_commit(stream, room);
        link_touch(d.gateway.link);
        sent += room;
    }
    tun_stream_finish(stream);
    link_touch(d.gateway.link);
    LOOP_UNTIL(d.loop, seen.eof);
    ck_assert_uint_eq(seen.received, total);
    ck_assert_uint_eq(seen.wrong, 0);
    duo_stop(&d);
}
END_TEST

/* A hundred small writes of one turn leave as one write: the far side gets them in one piece. */
START_TEST(test_link_seals_once_per_turn)
{
    struct tun_stream *stream;
    struct duo d;
    int waiting = 0;

    setup(&d);
    duo_accept(&d);
    stream = open_stream(&d);
    for (int i = 0; i < 5; i++)
        ev_run(d.loop, EVRUN_NOWAIT);
    for (size_t i = 0; i < 100; i++) {
        uint8_t byte = pattern(i);

        ck_assert_uint_eq(tun_stream_write(stream, &byte, 1), 1);
        link_touch(d.gateway.link);
    }
    ck_assert_int_eq(ioctl(d.connector.fd, FIONREAD, &waiting), 0);
    ck_assert_int_eq(waiting, 0); /* nothing leaves before the turn ends */
    ev_run(d.loop, EVRUN_NOWAIT);
    LOOP_UNTIL(d.loop, seen.received == 100);
    ck_assert_uint_eq(seen.wrong, 0);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_close_tells_the_other_side_why)
{
    struct duo d;

    setup(&d);
    duo_accept(&d);
    (void)open_stream(&d);
    link_close(d.gateway.link, TUN_CODE_REVOKED, "contract cancelled");
    link_close(d.gateway.link, TUN_CODE_REVOKED, "twice is fine");
    ck_assert_ptr_null(link_session(d.gateway.link));
    ck_assert_int_eq(d.gateway.closed, 0); /* never inside */
    LOOP_UNTIL(d.loop, d.gateway.closed == 1 && d.connector.closed == 1);
    ck_assert_int_eq(d.gateway.rc, ERR_CANCELLED);
    ck_assert_int_eq(d.connector.rc, ERR_EOF);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(seen.notice_code, TUN_CODE_REVOKED);
    ck_assert_int_eq(seen.resets, 2);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_close_inside_an_op)
{
    struct tun_stream *stream;
    struct duo d;

    setup(&d);
    duo_accept(&d);
    stream = open_stream(&d);
    seen.close_on_data = true;
    ck_assert_uint_eq(tun_stream_write(stream, "x", 1), 1);
    link_touch(d.gateway.link);
    LOOP_UNTIL(d.loop, d.gateway.closed == 1 && d.connector.closed == 1);
    ck_assert_int_eq(d.connector.rc, ERR_CANCELLED);
    ck_assert_int_eq(seen.notice_code, TUN_CODE_SHUTDOWN);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_reject_tells_the_connector_why_and_when)
{
    struct duo d;

    setup(&d);
    link_reject(d.gateway.link, &(struct tun_notice){.code = TUN_CODE_BUSY, .retry_ms = 1000});
    LOOP_UNTIL(d.loop, d.gateway.closed == 1 && d.connector.closed == 1);
    ck_assert_int_eq(d.connector.rc, ERR_REFUSED);
    ck_assert_int_eq(seen.rejected, 1);
    ck_assert_int_eq(seen.notice_code, TUN_CODE_BUSY);
    duo_stop(&d);
}
END_TEST

/* _i: 0 the gateway's process dies, 1 the connector's */
START_TEST(test_link_peer_vanishes_and_streams_are_lost)
{
    struct duo d;

    setup(&d);
    duo_accept(&d);
    (void)open_stream(&d);
    link_free(_i == 0 ? d.gateway.link : d.connector.link);
    ck_assert_int_eq(seen.resets, 1);
    if (_i == 0)
        d.gateway.link = NULL;
    else
        d.connector.link = NULL;
    LOOP_UNTIL(d.loop, d.gateway.closed + d.connector.closed == 1);
    ck_assert_int_eq(seen.resets, 2);
    ck_assert_int_eq(seen.reset_code, TUN_CODE_LOST);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_end_without_close_is_an_error)
{
    struct duo d;

    setup(&d);
    duo_accept(&d);
    shutdown(d.gateway.fd, SHUT_WR); /* FIN, but no CLOSE inside */
    LOOP_UNTIL(d.loop, d.connector.closed == 1);
    ck_assert_int_eq(d.connector.rc, ERR_EOF);
    ck_assert_int_eq(seen.closed, 0);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_garbage_ends_it)
{
    struct duo d;
    uint8_t junk[200];

    setup(&d);
    duo_accept(&d);
    memset(junk, 0x41, sizeof(junk));
    junk[0] = 0;
    junk[1] = 100;
    ck_assert_int_eq(send(d.gateway.fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
    LOOP_UNTIL(d.loop, d.connector.closed == 1);
    ck_assert_int_eq(d.connector.rc, ERR_AUTH);
    duo_stop(&d);
}
END_TEST

/* A link may be freed while its farewell, or anything else, is under way. */
START_TEST(test_link_hub_freed_with_farewells)
{
    struct duo d;

    setup(&d);
    duo_accept(&d);
    link_close(d.gateway.link, TUN_CODE_SHUTDOWN, "");
    for (int i = 0; i < 50 && d.gateway.closed == 0; i++)
        ev_run(d.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(d.gateway.closed, 1);
    duo_stop(&d);
}
END_TEST

START_TEST(test_link_new_refuses_bad_configs_and_leaves_the_fd)
{
    struct duo d;
    struct link *link = NULL;
    struct link_config cfg = {.fd = -1, .on_closed = duo_on_closed};

    setup(&d);
    ck_assert_int_eq(link_new(&link, d.hub, &cfg), ERR_INVALID);
    cfg = (struct link_config){.fd = 0, .on_closed = NULL};
    ck_assert_int_eq(link_new(&link, d.hub, &cfg), ERR_INVALID);
    ck_assert_ptr_null(link);
    link_free(NULL);
    link_hub_free(NULL);
    duo_stop(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/link");
    TCase *tc = tcase_create("link");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_link_carries_a_stream_to_its_end);
    tcase_add_test(tc, test_link_seals_once_per_turn);
    tcase_add_test(tc, test_link_close_tells_the_other_side_why);
    tcase_add_test(tc, test_link_close_inside_an_op);
    tcase_add_test(tc, test_link_reject_tells_the_connector_why_and_when);
    tcase_add_loop_test(tc, test_link_peer_vanishes_and_streams_are_lost, 0, 2);
    tcase_add_test(tc, test_link_end_without_close_is_an_error);
    tcase_add_test(tc, test_link_garbage_ends_it);
    tcase_add_test(tc, test_link_hub_freed_with_farewells);
    tcase_add_test(tc, test_link_new_refuses_bad_configs_and_leaves_the_fd);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
