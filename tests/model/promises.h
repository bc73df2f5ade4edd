/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants and visitors were promised, as questions to the world. Each returns what is broken,
 * in words, or NULL. */
#ifndef TESTS_MODEL_PROMISES_H
#define TESTS_MODEL_PROMISES_H

#include "tests/model/moves.h"

/* MOVE (of ARG) led from BEFORE to AFTER. */
const char *promise_broken_by(const struct move *move, int arg, const struct world *before,
                              const struct world *after);
/* No fault comes any more, and nothing moves. */
const char *promise_broken_at_rest(const struct world *w);

#endif
