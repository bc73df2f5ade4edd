/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls the objects of compat_server.h, wherever they are served, and judges what comes back: the
 * six checks of the reference's own suite first, then what only ZOS.md says.
 */
#ifndef TESTS_BUS_COMPAT_CLIENT_H
#define TESTS_BUS_COMPAT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#define COMPAT_WHY_MAX 512

struct bus_url;

size_t compat_check_count(void);
const char *compat_check_name(size_t i);
/* Whether the reference's own suite has it: every server must pass. */
bool compat_check_is_reference(size_t i);
/*
 * Run check I (with a loop and connections of its own) against the server behind URL, which gets
 * LIMIT_S for each call. Returns whether it passed; WHY says what came instead.
 */
bool compat_check_run(size_t i, const struct bus_url *url, double limit_s,
                      char why[COMPAT_WHY_MAX]);

#endif
