/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of chunks: order, borrowed pieces, and how little memory they pin. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/queue.h"
#include "tests/support/suite.h"

/* A read of at most N bytes from FROM into three places: returns how many they took. */
static size_t fill_three(struct tun_queue *queue, struct tun_pool *pool, const uint8_t *from,
                         size_t n)
{
    uint8_t *at[3];
    size_t room[3], done = 0;

    at[0] = tun_queue_reserve(queue, pool, 1, 60000, &room[0]);
    for (int i = 1; i < 3; i++)
        at[i] = tun_queue_reserve_more(queue, pool, 60000, &room[i]);
    for (int i = 0; i < 3; i++) {
        size_t len = n - done < room[i] ? n - done : room[i];

        memcpy(at[i], from + done, len);
        if (i == 0)
            tun_queue_commit(queue, pool, len);
        else
            tun_queue_commit_more(queue, pool, len);
        done += len;
    }
    return done;
}

/* Random appends, reserves, and consumes against a plain array. */
START_TEST(test_queue_keeps_bytes_in_order)
{
    static uint8_t model[1 << 22];
    size_t in = 0, from = 0, len, room;
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};

    srand(7);
    for (size_t i = 0; i < sizeof(model); i++)
        model[i] = (uint8_t)rand();
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rand() % (i % 3 == 0 ? 100000 : 900);
        uint8_t *at;

        if (i % 2 == 0 && in + n <= sizeof(model)) {
            if (tun_queue_append(&queue, &pool, model + in, n) != ERR_OK)
                ck_abort();
            in += n;
        } else if (i % 5 == 0 && in + n <= sizeof(model)) {
            at = tun_queue_reserve(&queue, &pool, 1, i % 3 == 0 ? n : TUN_CHUNK_MAX, &room);
            n = i % 7 == 0 ? 0 : room < n ? room : n; /* many, few in a big chunk, or none */
            memcpy(at, model + in, n);
            tun_queue_commit(&queue, &pool, n);
            in += n;
        } else if (i % 7 == 0 && in + 3 * TUN_CHUNK_MAX <= sizeof(model)) {
            in += fill_three(&queue, &pool, model + in, (size_t)rand() % (3 * TUN_CHUNK_MAX));
        } else {
            const uint8_t *data = tun_queue_peek(&queue, &len);

            if (len > 0 && memcmp(data, model + from, len) != 0)
                ck_abort();
            n = n < queue.len ? n : queue.len;
            tun_queue_consume(&queue, &pool, n, NULL);
            tun_queue_shrink(&queue, &pool);
            from += n;
        }
        if (queue.len != in - from)
            ck_abort();
    }
    tun_queue_clear(&queue, &pool);
    ck_assert_uint_eq(pool.used_bytes, 0);
    tun_pool_trim(&pool);
    ck_assert_uint_eq(tun_pool_free_bytes(&pool), 0);
}
END_TEST

START_TEST(test_queue_pieces_stay_valid_until_released)
{
    static uint8_t data[200000];
    struct tun_piece pieces[8];
    struct tun_chunk *retired = NULL;
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};
    size_t covered, count;

    memset(data, 5, sizeof(data));
    ck_assert_int_eq(tun_queue_append(&queue, &pool, data, sizeof(data)), ERR_OK);
    count = tun_queue_pieces(&queue, 150000, pieces, 8, &covered);
    ck_assert_uint_eq(covered, 150000);
    tun_queue_consume(&queue, &pool, covered, &retired);
    ck_assert_ptr_nonnull(retired);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(pieces[i].data[pieces[i].len - 1], 5);
    tun_pool_release(&pool, &retired);
    ck_assert_uint_eq(queue.len, 50000);
    count = tun_queue_pieces(&queue, 50000, pieces, 1, &covered);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_le(covered, 50000);
    tun_queue_clear(&queue, &pool);
    tun_pool_trim(&pool);
}
END_TEST

/* A slow reader who leaves one byte of a big chunk pins a small one only. */
START_TEST(test_queue_shrinks_what_little_is_left)
{
    static uint8_t data[60000];
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};

    ck_assert_int_eq(tun_queue_append(&queue, &pool, data, sizeof(data)), ERR_OK);
    ck_assert_uint_eq(pool.used_bytes, TUN_CHUNK_MAX);
    tun_queue_consume(&queue, &pool, sizeof(data) - 1, NULL);
    tun_queue_shrink(&queue, &pool);
    ck_assert_uint_eq(pool.used_bytes, 1024);
    ck_assert_uint_eq(queue.len, 1);
    tun_queue_clear(&queue, &pool);
    tun_pool_trim(&pool);
}
END_TEST

/* What was sent is kept until it is acknowledged; what did not arrive is sent again. */
START_TEST(test_queue_keeps_what_is_taken)
{
    static uint8_t data[200000];
    struct tun_piece pieces[8];
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};
    size_t covered;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i >> 8);
    ck_assert_int_eq(tun_queue_append(&queue, &pool, data, sizeof(data)), ERR_OK);
    for (size_t at = 0; at < sizeof(data); at += 1000) { /* marks within chunks and between them */
        ck_assert_uint_ge(tun_queue_pieces(&queue, 1000, pieces, 8, &covered), 1);
        ck_assert_uint_eq(covered, 1000);
        ck_assert_uint_eq(pieces[0].data[0], data[at]);
        tun_queue_take(&queue, 1000);
        ck_assert_uint_eq(queue.taken, at + 1000);
    }
    ck_assert_uint_eq(queue.len, sizeof(data));
    tun_queue_consume(&queue, &pool, 70001, NULL); /* acknowledged */
    ck_assert_uint_eq(queue.taken, sizeof(data) - 70001);
    tun_queue_rewind(&queue);
    ck_assert_uint_eq(queue.taken, 0);
    ck_assert_uint_ge(tun_queue_pieces(&queue, 1, pieces, 8, &covered), 1);
    ck_assert_ptr_eq(pieces[0].data, tun_queue_peek(&queue, &covered));
    ck_assert_uint_eq(pieces[0].data[0], data[70001]);
    tun_queue_take(&queue, queue.len);
    tun_queue_consume(&queue, &pool, queue.len, NULL); /* with the mark at the very end */
    ck_assert_int_eq(tun_queue_append(&queue, &pool, data, 10), ERR_OK);
    ck_assert_uint_eq(tun_queue_pieces(&queue, 10, pieces, 8, &covered), 1);
    ck_assert_uint_eq(covered, 10);
    tun_queue_clear(&queue, &pool);
    ck_assert_uint_eq(pool.used_bytes, 0);
    tun_pool_trim(&pool);
}
END_TEST

/* They may wait long for an acknowledgement: not in a chunk made for many. */
START_TEST(test_queue_few_bytes_leave_a_big_chunk)
{
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};
    size_t room, len;

    for (int i = 0; i < 3; i++) {
        memcpy(tun_queue_reserve(&queue, &pool, 1, 65536, &room), "hello", 5);
        tun_queue_commit(&queue, &pool, 5);
    }
    ck_assert_uint_eq(pool.used_bytes, 1024);
    ck_assert_uint_eq(queue.len, 15);
    ck_assert_mem_eq(tun_queue_peek(&queue, &len), "hellohellohello", 15);
    ck_assert_uint_eq(len, 15);
    tun_queue_clear(&queue, &pool);
    tun_pool_trim(&pool);
}
END_TEST

START_TEST(test_queue_unused_reserve_holds_nothing)
{
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};
    size_t room;

    ck_assert_ptr_nonnull(tun_queue_reserve(&queue, &pool, 1, 65536, &room));
    ck_assert_uint_eq(room, 65536);
    tun_queue_commit(&queue, &pool, 0);
    ck_assert_uint_eq(pool.used_bytes, 0);
    ck_assert_ptr_null(tun_queue_peek(&queue, &room));
    tun_pool_trim(&pool);
}
END_TEST

START_TEST(test_queue_unused_further_places_hold_nothing)
{
    static const uint8_t zeros[TUN_CHUNK_MAX];
    struct tun_pool pool = {0};
    struct tun_queue queue = {0};

    ck_assert_uint_eq(fill_three(&queue, &pool, zeros, 0), 0);
    ck_assert_uint_eq(pool.used_bytes, 0);
    ck_assert_uint_eq(fill_three(&queue, &pool, zeros, 60000), 60000);
    ck_assert_uint_eq(pool.used_bytes, TUN_CHUNK_MAX);
    tun_queue_clear(&queue, &pool);
    ck_assert_uint_eq(pool.used_bytes, 0);
    tun_pool_trim(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/queue");
    TCase *tc = tcase_create("queue");

    tcase_add_test(tc, test_queue_keeps_bytes_in_order);
    tcase_add_test(tc, test_queue_pieces_stay_valid_until_released);
    tcase_add_test(tc, test_queue_shrinks_what_little_is_left);
    tcase_add_test(tc, test_queue_keeps_what_is_taken);
    tcase_add_test(tc, test_queue_few_bytes_leave_a_big_chunk);
    tcase_add_test(tc, test_queue_unused_reserve_holds_nothing);
    tcase_add_test(tc, test_queue_unused_further_places_hold_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
