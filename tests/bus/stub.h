/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server under the test's control on the test's own loop: listens on a unix socket, keeps what it
 * is sent, and says exactly what it is told, byte by byte if need be.
 */
#ifndef TESTS_BUS_STUB_H
#define TESTS_BUS_STUB_H

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct stub;

/* What a fresh connection answers to each read: NULL = it stays silent. */
struct stub *stub_new(struct ev_loop *loop, const char *answer);
void stub_free(struct stub *self);
const char *stub_url(const struct stub *self);
/* Send bytes to the current connection now. */
void stub_say(struct stub *self, const void *data, size_t len);
/* From now on (also for the current connection). */
void stub_answer(struct stub *self, const char *answer);
/* Answer PING with +PONG and everything else with ANSWER. */
void stub_polite(struct stub *self, bool polite);
/* Close the current connection. */
void stub_hang_up(struct stub *self);
/* Connections accepted so far. */
int stub_accepted(const struct stub *self);
/* Everything received on the current connection, NUL-terminated. */
const char *stub_got(const struct stub *self);

#endif
