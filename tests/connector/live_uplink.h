/* SPDX-License-Identifier: Apache-2.0 */
/* An uplink with the test gateway, and a visitor of it; for tests of what happens to them. */
#ifndef TESTS_CONNECTOR_LIVE_UPLINK_H
#define TESTS_CONNECTOR_LIVE_UPLINK_H

#include "bus/base/clock.h"
#include "modules/connector/uplink.h"
#include "tests/connector/bench.h"

static struct live_uplink {
    struct bench b;
    struct peer_gateway gw;
    struct con_uplink *uplink;
    int changes, left;
    struct peer_visitor visitor;
    int service; /* its connection there; -1 = none */
} f;

static inline void on_change(void *arg)
{
    (void)arg;
    f.changes++;
}

static inline void on_left(void *arg)
{
    (void)arg;
    f.left++;
}

static inline void prepare(void)
{
    memset(&f, 0, sizeof(f));
    f.service = -1;
    bench_start(&f.b);
    peer_gateway_start(&f.gw, f.b.loop, 0x21, 0);
    bench_gateway(&f.b, &f.gw);
    bench_service(&f.b, "web=%s");
}

static inline void start(void)
{
    struct con_uplink_config cfg = {.context = &f.b.context,
                                    .gateway = &f.b.config->gateways[0],
                                    .on_change = on_change,
                                    .on_left = on_left};

    ck_assert_int_eq(con_uplink_new(&f.uplink, &cfg), ERR_OK);
}

static inline void teardown(void)
{
    con_uplink_free(f.uplink);
    peer_gateway_stop(&f.gw);
    bench_stop(&f.b);
    if (f.service >= 0)
        close(f.service);
}

static inline void wait_up(void)
{
    LOOP_UNTIL(f.b.loop, con_uplink_is_up(f.uplink));
}

static inline void wait_links(unsigned links)
{
    LOOP_UNTIL(f.b.loop, con_uplink_is_up(f.uplink) && peer_gateway_links(&f.gw) == links);
}

static inline void turns(void)
{
    for (int i = 0; i < 20; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
}

/* After this the uplink is up, with both links. */
static inline void setup(void)
{
    prepare();
    start();
    wait_links(2);
}

/* A visitor is being served. */
static inline void visit(void)
{
    struct tun_open open = bench_open("7-1-x", "web");

    peer_visit(&f.gw, &f.visitor, &open);
    f.service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, f.visitor.ok);
}

/* He is still: bytes go both ways. */
static inline void still_served(void)
{
    size_t before = f.visitor.got_len;

    peer_say(&f.visitor, "up", false);
    bench_expect(&f.b, f.service, "up");
    bench_say(f.service, "down");
    LOOP_UNTIL(f.b.loop, f.visitor.got_len == before + 4);
    ck_assert_int_eq(f.visitor.reset, TUN_CODE_NONE);
}

/* The newest session at the gateway has this epoch, and both links. */
static inline void expect_epoch(uint64_t epoch)
{
    LOOP_UNTIL(f.b.loop, peer_gateway_session(&f.gw) != NULL &&
                             peer_gateway_session(&f.gw)->info.epoch == epoch);
    wait_links(2);
}

#endif
