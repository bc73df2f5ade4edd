/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breadth-first search over everything that can happen in a scene, so that the first broken promise
 * found is one of the shortest. States are known by a 64-bit hash (that two of a million meet is as
 * likely as 3 in 10^8).
 */
#ifndef TESTS_MODEL_SEARCH_H
#define TESTS_MODEL_SEARCH_H

#include "tests/model/world.h"

#define SEARCH_STEPS_MAX 64

struct search_step {
    uint8_t move; /* index in moves[] */
    uint8_t arg;
};

struct search_result {
    const char *broken; /* NULL: all states were seen, and no promise is broken */
    bool at_rest;       /* broken once all that can happen without faults has happened */
    uint32_t states;
    uint32_t depth; /* of the last state */
    struct search_step steps[SEARCH_STEPS_MAX];
    unsigned step_count;
};

struct search_result search_run(const struct model *m);
/* The way to the broken promise, one line a step, to stdout. */
void search_print(const struct model *m, const struct search_result *result);

#endif
