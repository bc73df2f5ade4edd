/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs each scenario some times unseen and ROUNDS times under the eyes of callgrind, which writes
 * one file for each: cost ROUNDS [twice]. "twice" does everything two times, to see that it is
 * noticed. Without valgrind it only runs them.
 */
#include "tests/cost/cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <valgrind/callgrind.h>

#define WARM 8 /* rounds until symbols are bound and memory is there */

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);

/* The linker puts it in the place of getrandom: maps get the same seed in each run. */
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    (void)flags;
    memset(out, 0x5a, len);
    return (ssize_t)len;
}

void cost_must(int right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "cost: this scenario does not work: %s\n", what);
    exit(EXIT_FAILURE);
}

static void run(const struct cost_scenario *scenario, unsigned long rounds)
{
    scenario->begin();
    for (unsigned i = 0; i < WARM; i++)
        scenario->once();
    CALLGRIND_START_INSTRUMENTATION;
    for (unsigned long i = 0; i < rounds; i++)
        scenario->once();
    CALLGRIND_STOP_INSTRUMENTATION;
    CALLGRIND_DUMP_STATS_AT(scenario->name);
    if (scenario->end != NULL)
        scenario->end();
}

int main(int argc, char **argv)
{
    static const struct cost_scenario *const all[] = {cost_door, cost_tunnel};
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;

    if (argc > 2 && strcmp(argv[2], "twice") == 0)
        rounds *= 2;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (const struct cost_scenario *scenario = all[i]; scenario->name != NULL; scenario++)
            run(scenario, rounds);
    return EXIT_SUCCESS;
}
