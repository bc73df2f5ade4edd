/* SPDX-License-Identifier: Apache-2.0 */
/* What a session says of itself, and when it can serve an exposure. */
#include "modules/gateway/session.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static const struct addr here;

static struct tun_handshake_result proven(uint64_t twin)
{
    struct tun_handshake_result result = {.role = TUN_GATEWAY};

    memset(result.peer.bytes, 5, sizeof(result.peer.bytes));
    memset(result.connector.instance, 6, sizeof(result.connector.instance));
    memset(result.own.bytes, 8, sizeof(result.own.bytes));
    result.connector.epoch = 9;
    result.connector.link = 2;
    result.connector.twin = twin;
    strcpy(result.connector.name, "web-1");
    strcpy(result.connector.version, "netwall-1");
    return result;
}

START_TEST(test_session_keeps_what_the_handshake_proved_and_said)
{
    const struct tun_handshake_result result = proven(7);
    struct gw_session *session = gw_session_new(&result, &here);
    struct gw_session_info info;

    ck_assert_ptr_nonnull(session);
    ck_assert_mem_eq(gw_session_key(session), result.peer.bytes, GW_KEY_LEN);
    gw_session_info(session, &info);
    ck_assert_mem_eq(info.key, result.peer.bytes, GW_KEY_LEN);
    ck_assert_mem_eq(info.gateway_key, result.own.bytes, GW_KEY_LEN);
    ck_assert_mem_eq(info.instance, result.connector.instance, sizeof(info.instance));
    ck_assert_uint_eq(info.epoch, 9);
    ck_assert_uint_eq(info.twin, 7);
    ck_assert_str_eq(info.name, "web-1");
    ck_assert_str_eq(info.software, "netwall-1");
    ck_assert_str_eq(info.state, "down"); /* the registry has not taken it */
    ck_assert_uint_gt(info.since_ms, 0);
    ck_assert_uint_eq(info.rx_bytes, 0);
    gw_session_free(session);
    gw_session_free(NULL);
}
END_TEST

/* A twin that no contract can have must not become the twin of its low 32 bits, nor none. */
static const struct {
    uint64_t said;
    uint32_t kept;
} twins[] = {{0, 0},
             {1, 1},
             {UINT32_MAX - 1, UINT32_MAX - 1},
             {UINT32_MAX, UINT32_MAX},
             {UINT64_C(1) << 32, UINT32_MAX},
             {(UINT64_C(1) << 32) + 7, UINT32_MAX},
             {UINT64_MAX, UINT32_MAX}};

START_TEST(test_session_a_twin_out_of_range_is_no_other_twin)
{
    const struct tun_handshake_result result = proven(twins[_i].said);
    struct gw_session *session = gw_session_new(&result, &here);

    ck_assert_uint_eq(session->twin, twins[_i].kept);
    gw_session_free(session);
}
END_TEST

START_TEST(test_session_end_texts_name_what_happened)
{
    ck_assert_str_eq(gw_session_end_text(ERR_EOF), "connection lost");
    ck_assert_str_eq(gw_session_end_text(ERR_SYS), "connection lost"); /* whatever errno is now */
    ck_assert_str_eq(gw_session_end_text(ERR_TIMEOUT), "silent");
    ck_assert_str_eq(gw_session_end_text(ERR_PROTO), "broke the protocol");
    ck_assert_str_eq(gw_session_end_text(ERR_AUTH), gw_session_end_text(ERR_LIMIT));
    ck_assert_str_eq(gw_session_end_text(ERR_NOMEM), err_text(ERR_NOMEM));
}
END_TEST

START_TEST(test_session_that_is_not_listed_serves_nothing)
{
    const struct tun_handshake_result result = proven(0);
    struct gw_session *session = gw_session_new(&result, &here);
    struct gw_exposure *e = gw_exposure_new();

    ck_assert(!gw_session_serves(session, e));
    gw_exposure_unref(e);
    gw_session_free(session);
}
END_TEST

START_TEST(test_session_serves_its_own_twin_or_all_when_it_names_none)
{
    struct tun_connector_info info = {.twin = (uint64_t)_i, .name = "a", .version = "b"};
    struct gw_site *site = seat_site("7-1-blog", 1);
    struct seat_connector c;
    struct seat seat;

    seat_init(&seat);
    seat_bind(&seat, site);
    seat_offer(&seat, &c, 1, &info);
    ck_assert_int_eq(c.rc, ERR_OK);
    ck_assert_int_eq(
        gw_session_serves(gw_registry_first(seat.registry, site->exposure->backends[0].key),
                          site->exposure),
        _i == 0 || _i == 7);
    seat_leave(&c);
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}
END_TEST

START_TEST(test_session_that_drains_says_so_and_serves_nothing)
{
    struct gw_site *site = seat_site("7-1-blog", 1);
    struct tun_notice bye = {.code = TUN_CODE_SHUTDOWN};
    struct gw_session_info info;
    struct gw_session *session;
    struct seat_connector c;
    struct seat seat;

    seat_init(&seat);
    seat_bind(&seat, site);
    seat_join(&seat, &c, 1, 1);
    LOOP_UNTIL(seat.loop, c.accepted);
    session = gw_registry_first(seat.registry, site->exposure->backends[0].key);
    tun_session_goaway(link_session_tunnel(c.session), &bye);
    link_session_touch(c.session);
    LOOP_UNTIL(seat.loop, session->draining);
    gw_session_info(session, &info);
    ck_assert_str_eq(info.state, "draining");
    ck_assert(!gw_session_serves(session, site->exposure));
    seat_leave(&c);
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_session");
    TCase *tc = tcase_create("session");

    tcase_add_test(tc, test_session_keeps_what_the_handshake_proved_and_said);
    tcase_add_loop_test(tc, test_session_a_twin_out_of_range_is_no_other_twin, 0, COUNT(twins));
    tcase_add_test(tc, test_session_end_texts_name_what_happened);
    tcase_add_test(tc, test_session_that_is_not_listed_serves_nothing);
    tcase_add_loop_test(tc, test_session_serves_its_own_twin_or_all_when_it_names_none, 0, 10);
    tcase_add_test(tc, test_session_that_drains_says_so_and_serves_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
