/* SPDX-License-Identifier: Apache-2.0 */
/* Small fixed scenarios whose instructions are counted (check.py). No sockets, no clock, no chance.
 */
#ifndef TESTS_COST_COST_H
#define TESTS_COST_COST_H

#include <stddef.h>

/* Begin and end are not counted; ONCE is, many times in a row, and must do the same each time. */
struct cost_scenario {
    const char *name;
    void (*begin)(void);
    void (*once)(void);
    void (*end)(void); /* may be NULL */
};

/* Ended by one without a name. */
extern const struct cost_scenario cost_door[];   /* what a visitor's first bytes are asked */
extern const struct cost_scenario cost_tunnel[]; /* what carries them */

/* Ends the program with WHAT when RIGHT is 0: a scenario that fails is a cheap one. */
void cost_must(int right, const char *what);

/* A request of a browser and the answer of a service, heads and all. */
extern const char cost_request[], cost_answer[];
extern const size_t cost_request_len, cost_answer_len;
/* The heads of both as they go on, at OUT of CAP bytes; return how many bytes. */
size_t cost_forward_request(char *out, size_t cap);
size_t cost_forward_answer(char *out, size_t cap);

#endif
