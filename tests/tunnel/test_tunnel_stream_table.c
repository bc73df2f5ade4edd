/* SPDX-License-Identifier: Apache-2.0 */
/* Streams by number: found while there, not after; any number of them, any numbers. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"
#include "tests/support/suite.h"

#define MANY 5000

static struct tun_session session; /* only its table is used */

/* A hostile gateway may choose numbers; multiples of a power of two must not be lost. */
static uint32_t number(uint32_t i, uint32_t step)
{
    return 1 + i * step;
}

START_TEST(test_stream_table_finds_what_is_there)
{
    uint32_t step = UINT32_C(1) << (_i * 4);
    struct tun_stream_table *table = &session.streams;
    uint32_t seen = 0;

    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(tun_stream_table_add(&session, number(i, step)));
    ck_assert_uint_eq(table->count, MANY);
    for (struct tun_stream *at = NULL; (at = tun_stream_table_next(table, at)) != NULL;)
        seen++;
    ck_assert_uint_eq(seen, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        struct tun_stream *stream = tun_stream_table_find(table, number(i, step));

        if (stream == NULL || stream->id != number(i, step))
            ck_abort();
        tun_stream_table_remove(table, stream);
        free(stream);
        if (tun_stream_table_find(table, number(i, step)) != NULL)
            ck_abort();
    }
    ck_assert_ptr_null(tun_stream_table_next(table, NULL));
    tun_stream_table_deinit(table);
    ck_assert_ptr_null(tun_stream_table_find(table, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/stream_table");
    TCase *tc = tcase_create("stream_table");

    tcase_add_loop_test(tc, test_stream_table_finds_what_is_there, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
