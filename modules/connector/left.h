/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions with one gateway that are being left, while a newer session serves: most take no new
 * visitors and live until their last one is gone. No link of theirs is dialled again.
 */
#ifndef MODULES_CONNECTOR_LEFT_H
#define MODULES_CONNECTOR_LEFT_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/connector/session.h"

#define CON_LEFT_MAX 8                  /* with visitors */
#define CON_LEFT_CAP (CON_LEFT_MAX + 2) /* and such as end at the end of this turn */

/* Embed it, all zero at first. */
struct con_left {
    struct {
        uint64_t id;
        struct con_session *session; /* owned */
    } items[CON_LEFT_CAP];
    size_t count;
};

/* Whether one more may be left for its visitors. */
bool con_left_has_room(const struct con_left *self);
/* Let the present visitors of SESSION (owned from now on) finish; needs room. */
void con_left_drain(struct con_left *self, uint64_t id, struct con_session *session);
/* SESSION (owned from now on) serves on beside the newer one, until the gateway says otherwise;
 * needs room. */
void con_left_keep(struct con_left *self, uint64_t id, struct con_session *session);
/* End SESSION (owned from now on) now; its visitors, if any, are cut. */
void con_left_close(struct con_left *self, uint64_t id, struct con_session *session);
/* A session ended: true when it was one of these, and it is said if that was not our doing. */
bool con_left_forget(struct con_left *self, const struct con_session_end *end, const char *gateway);
/* The one with this ID, or NULL. */
struct con_session *con_left_find(const struct con_left *self, uint64_t id);
/* None of them takes new visitors any more. */
void con_left_drain_all(struct con_left *self);
/* Visitors of all of them. */
unsigned con_left_streams(const struct con_left *self);
/* CLOSE on all of them now; they end from the loop. */
void con_left_hurry(struct con_left *self);
/* Cut all of them, no event. Not from inside an event of one. */
void con_left_deinit(struct con_left *self);

#endif
