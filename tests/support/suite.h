/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test program needs around check: running a suite, and counting table rows. */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

/* Rows of a table, as the int that tcase_add_loop_test wants. */
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/*
 * Run SUITE and free it; the return value is for main(). check's own variables count: CK_FORK=no
 * runs all tests in one process (sanitizers), CK_RUN_CASE and CK_RUN_SUITE choose, CK_VERBOSITY
 * talks more.
 */
int run_suite(Suite *suite);

/* Whether tests run in processes of their own (CK_FORK): only then may one end by a signal. */
bool can_fork(void);

/*
 * A copy of DATA for free(). It ends where its heap block ends, so that a sanitizer sees every read
 * past LEN.
 */
void *exact_copy(const void *data, size_t len);

#endif
