/* SPDX-License-Identifier: Apache-2.0 */
/* What the sessions of one loop share: the buffer pool, and the walk over dirty sessions. */
#include <check.h>

#include "modules/link/hub_impl.h"
#include "modules/link/link.h"
#include "modules/link/session_impl.h"
#include "tests/link/duo.h"
#include "tests/support/suite.h"

START_TEST(test_hub_lends_the_same_buffer_again)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct link_hub *hub;
    struct buf buf = {0}, empty = {0};
    uint8_t *data;

    ck_assert_int_eq(link_hub_new(&hub, loop), ERR_OK);
    ck_assert_int_eq(link_hub_lend(hub, &buf), ERR_OK);
    ck_assert_uint_eq(buf.cap, LINK_OUT_BYTES);
    data = buf.data;
    ck_assert_int_eq(buf_append(&buf, "x", 1), ERR_OK);
    link_hub_return(hub, &buf);
    ck_assert_mem_eq(&buf, &empty, sizeof(buf));
    link_hub_return(hub, &buf); /* nothing was lent: fine */
    ck_assert_int_eq(link_hub_lend(hub, &buf), ERR_OK);
    ck_assert_ptr_eq(buf.data, data);
    ck_assert_uint_eq(buf.len, 0);
    link_hub_return(hub, &buf);
    link_hub_free(hub);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_hub_keeps_only_some_idle_buffers)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct buf bufs[HUB_SPARE_MAX + 4] = {0};
    struct link_hub *hub;

    ck_assert_int_eq(link_hub_new(&hub, loop), ERR_OK);
    for (int i = 0; i < HUB_SPARE_MAX + 4; i++)
        ck_assert_int_eq(link_hub_lend(hub, &bufs[i]), ERR_OK);
    for (int i = 0; i < HUB_SPARE_MAX + 4; i++)
        link_hub_return(hub, &bufs[i]);
    ck_assert_uint_eq(hub->spares, HUB_SPARE_MAX);
    link_hub_free(hub);
    ev_loop_destroy(loop);
}
END_TEST

static const struct tun_session_ops no_ops;

START_TEST(test_hub_is_asleep_when_nothing_is_dirty)
{
    struct duo d;

    duo_start(&d, &no_ops, &no_ops, NULL);
    duo_accept(&d);
    for (int i = 0; i < 5; i++)
        ev_run(d.loop, EVRUN_NOWAIT);
    ck_assert(!ev_is_active(&d.hub->turn_end));
    ck_assert(TAILQ_EMPTY(&d.hub->dirty));
    link_session_touch(d.gateway.session);
    link_session_touch(d.gateway.session);
    ck_assert(ev_is_active(&d.hub->turn_end));
    ev_run(d.loop, EVRUN_NOWAIT);
    ck_assert(TAILQ_EMPTY(&d.hub->dirty));
    ck_assert_uint_eq(TAILQ_FIRST(&d.gateway.session->links)->out.cap,
                      0); /* an idle link holds no buffer */
    duo_stop(&d);
}
END_TEST

/* A session that is freed while it is dirty leaves the list. */
START_TEST(test_hub_forgets_a_freed_session)
{
    struct duo d;

    duo_start(&d, &no_ops, &no_ops, NULL);
    duo_accept(&d);
    link_session_touch(d.gateway.session);
    link_session_touch(d.connector.session);
    link_session_free(d.gateway.session);
    d.gateway.session = NULL;
    ev_run(d.loop, EVRUN_NOWAIT);
    duo_stop(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/hub");
    TCase *tc = tcase_create("hub");

    tcase_add_test(tc, test_hub_lends_the_same_buffer_again);
    tcase_add_test(tc, test_hub_keeps_only_some_idle_buffers);
    tcase_add_test(tc, test_hub_is_asleep_when_nothing_is_dirty);
    tcase_add_test(tc, test_hub_forgets_a_freed_session);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
