/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation failures on order: in a test that links nw_test_alloc, the malloc family as called by
 * our own code (libc's inner calls, such as strdup's, go past it) can be told to fail once.
 */
#ifndef TESTS_SUPPORT_ALLOC_H
#define TESTS_SUPPORT_ALLOC_H

#include <stdbool.h>

/* The N-th allocation from now on (0 = the next) returns NULL, the others work. */
void alloc_fail_at(int n);
/* Allocate as usual again; returns whether the failure happened. */
bool alloc_fail_off(void);

/*
 * Run BODY for every n with the n-th allocation failing, until it got through with all of them:
 *     EACH_FAILED_ALLOCATION(n) { ... }
 * check's asserts allocate as well, so the body calls alloc_fail_off() before its first one.
 */
#define EACH_FAILED_ALLOCATION(n)                                                                  \
    for (int n = 0; n == 0 || alloc_fail_off(); n++)                                               \
        for (bool once_##n = (alloc_fail_at(n), true); once_##n; once_##n = false)

#endif
