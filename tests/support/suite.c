/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one check suite. */
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    if (srunner_ntests_run(runner) == 0)
        failed = 1; /* a filter that matches nothing must not look like success */
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void *exact_copy(const void *data, size_t len)
{
    char *copy = malloc(len);

    ck_assert(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

bool can_fork(void)
{
    const char *fork_mode = getenv("CK_FORK");

    return fork_mode == NULL || strcmp(fork_mode, "no") != 0;
}
