/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out at any single allocation of a session's life: an error comes back or one stream
 * ends, nothing crashes, nothing leaks (sanitized builds look). malloc and calloc are wrapped by
 * the linker.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session.h"
#include "tests/support/suite.h"
#include "tests/tunnel/pair.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static long until_failure = -1; /* allocations that still work; negative = all of them */
static bool failed;

static bool fails_now(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

struct user {
    struct tun_session *session;
    struct tun_stream *stream;
    unsigned ends;
};

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct user *user = arg;

    (void)open;
    user->stream = stream;
    tun_stream_set_user(stream, user);
    tun_stream_accept(stream);
}

static void on_open_err(void *arg, const struct tun_notice *notice)
{
    struct user *user = arg;

    (void)notice;
    user->stream = NULL;
    user->ends++;
}

static void on_reset(void *arg, enum tun_code code)
{
    struct user *user = arg;

    (void)code;
    user->stream = NULL;
    user->ends++;
}

static const struct tun_session_ops ops = {
    .on_open = on_open, .on_open_err = on_open_err, .on_reset = on_reset};

static struct tun_handshake_result connector, gateway;
static struct buf link_bytes;

/* In pieces, so that the part of a record needs memory, too. */
static int carry(struct user *from, struct user *to)
{
    int rc = tun_session_pull(from->session, &link_bytes, 1);

    while (rc == ERR_OK && link_bytes.len > 0) {
        size_t n = link_bytes.len < 1000 ? link_bytes.len : 1000;

        rc = tun_session_feed(to->session, buf_peek(&link_bytes), n, 1);
        buf_consume(&link_bytes, n);
    }
    buf_consume(&link_bytes, link_bytes.len);
    return rc;
}

static int write_both_ways(struct user *g, struct user *c)
{
    static const uint8_t bytes[100000];
    int rc = ERR_OK;

    for (int i = 0; i < 3 && rc == ERR_OK; i++) {
        if (g->stream != NULL)
            (void)tun_stream_write(g->stream, bytes, sizeof(bytes));
        if (c->stream != NULL)
            (void)tun_stream_write(c->stream, bytes, 700);
        rc = carry(g, c);
        if (rc == ERR_OK)
            rc = carry(c, g);
    }
    return rc;
}

static int live(struct user *g, struct user *c)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_session_config cfg = {.link = &gateway, .ops = &ops, .arg = g};
    int rc = tun_session_new(&g->session, &cfg, 1);

    cfg.link = &connector;
    cfg.arg = c;
    if (rc == ERR_OK)
        rc = tun_session_new(&c->session, &cfg, 1);
    if (rc == ERR_OK)
        rc = tun_session_accept(g->session, &(struct tun_accept){0});
    for (int i = 0; i < 20 && rc == ERR_OK; i++) /* enough for the table to grow */
        rc = tun_stream_open(&g->stream, g->session, &open, g);
    if (rc == ERR_OK)
        rc = carry(g, c);
    if (rc == ERR_OK)
        rc = carry(c, g);
    return rc == ERR_OK ? write_both_ways(g, c) : rc;
}

START_TEST(test_memory_any_allocation_may_fail)
{
    long n = 0;

    pair_results(TUN_SUITE_CHACHA, &connector, &gateway);
    ck_assert_int_eq(buf_init(&link_bytes, 1u << 20), ERR_OK);
    do {
        struct user g = {0}, c = {0};

        failed = false;
        until_failure = n++;
        (void)live(&g, &c);
        until_failure = -1;
        tun_session_free(g.session);
        tun_session_free(c.session);
        ck_assert(c.stream == NULL); /* each that began has ended */
    } while (failed);
    ck_assert_int_gt(n, 20);
    buf_deinit(&link_bytes);
}
END_TEST

START_TEST(test_memory_vault)
{
    struct tun_vault *vault = NULL;

    for (long n = 0; n < 2; n++) {
        until_failure = n;
        ck_assert_int_eq(tun_vault_new(&vault, 4), ERR_NOMEM);
        until_failure = -1;
        ck_assert_ptr_null(vault);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/memory");
    TCase *tc = tcase_create("memory");

    until_failure = -1;
    tcase_add_test(tc, test_memory_any_allocation_may_fail);
    tcase_add_test(tc, test_memory_vault);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
