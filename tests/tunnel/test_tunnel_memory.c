/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out at any single allocation of a session's life, with a link that is lost and
 * streams that go on on another one: an error comes back or one stream ends, nothing crashes,
 * nothing leaks (sanitized builds look). malloc and calloc are wrapped by the linker.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/link.h"
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
    struct tun_link *link;
    struct tun_stream *stream;
    unsigned ends, resumes;
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

static void on_resumed(void *arg, uint32_t moved)
{
    struct user *user = arg;

    user->resumes += moved > 0;
}

static const struct tun_session_ops ops = {
    .on_open = on_open, .on_open_err = on_open_err, .on_reset = on_reset, .on_resumed = on_resumed};

static struct tun_handshake_result connector, gateway;
static struct buf way;

/* In pieces, so that the part of a record needs memory, too. */
static int carry(struct user *from, struct user *to)
{
    int rc = tun_link_pull(from->link, &way, 1);

    while (rc == ERR_OK && way.len > 0) {
        size_t n = way.len < 1000 ? way.len : 1000;

        rc = tun_link_feed(to->link, buf_peek(&way), n, 1);
        buf_consume(&way, n);
    }
    buf_consume(&way, way.len);
    return rc;
}

static int exchange(struct user *g, struct user *c)
{
    int rc = carry(g, c);

    return rc == ERR_OK ? carry(c, g) : rc;
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
        rc = exchange(g, c);
    }
    return rc;
}

static int join(struct user *g, struct user *c)
{
    int rc = tun_link_new(&g->link, g->session, &gateway, NULL, 1);

    if (rc == ERR_OK)
        rc = tun_link_new(&c->link, c->session, &connector, NULL, 1);
    if (rc == ERR_OK)
        rc = tun_link_accept(g->link, &(struct tun_accept){0});
    return rc;
}

/* The link goes with what is on its way; the streams go on over another one. */
static int lose_and_resume(struct user *g, struct user *c)
{
    static const uint8_t bytes[5000];
    int rc;

    if (g->stream != NULL)
        (void)tun_stream_write(g->stream, bytes, sizeof(bytes));
    rc = tun_link_pull(g->link, &way, 1);
    buf_consume(&way, way.len);
    tun_link_lost(g->link, 1);
    tun_link_lost(c->link, 1);
    if (rc == ERR_OK)
        rc = join(g, c);
    for (int i = 0; i < 3 && rc == ERR_OK; i++)
        rc = exchange(g, c);
    return rc;
}

static int live(struct user *g, struct user *c)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_session_config cfg = {.role = TUN_GATEWAY, .ops = &ops, .arg = g};
    int rc = tun_session_new(&g->session, &cfg, 1);

    cfg.role = TUN_CONNECTOR;
    cfg.arg = c;
    if (rc == ERR_OK)
        rc = tun_session_new(&c->session, &cfg, 1);
    if (rc == ERR_OK)
        rc = join(g, c);
    for (int i = 0; i < 20 && rc == ERR_OK; i++) /* enough for the table to grow */
        rc = tun_stream_open(&g->stream, g->session, &open, g);
    if (rc == ERR_OK)
        rc = exchange(g, c);
    if (rc == ERR_OK)
        rc = write_both_ways(g, c);
    if (rc == ERR_OK)
        rc = lose_and_resume(g, c);
    return rc == ERR_OK ? write_both_ways(g, c) : rc;
}

START_TEST(test_memory_any_allocation_may_fail)
{
    long n = 0;

    pair_results(TUN_SUITE_CHACHA, &connector, &gateway);
    ck_assert_int_eq(buf_init(&way, 1u << 20), ERR_OK);
    do {
        struct user g = {0}, c = {0};

        failed = false;
        until_failure = n++;
        (void)live(&g, &c);
        until_failure = -1;
        tun_session_free(g.session);
        tun_session_free(c.session);
        ck_assert(c.stream == NULL); /* each that began has ended */
        ck_assert(failed || (g.resumes == 1 && c.resumes == 1));
    } while (failed);
    ck_assert_int_gt(n, 20);
    buf_deinit(&way);
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
