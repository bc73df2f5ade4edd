/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Redis hash kept equal to rows of the store. Changed fields are written at the end of the loop
 * turn in one MULTI; the whole hash is rewritten beside the old one and swapped in after a
 * (re)connect, or when a comparison finds it different (FLUSHALL, a foreign hand). An optional head
 * key is written together with it, so that readers can tell a whole from a part.
 */
#ifndef NODE_AGENT_MIRROR_H
#define NODE_AGENT_MIRROR_H

#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"

struct ev_loop;
struct bus_link;
struct agent_mirror; /* opaque: mirror.c */

#define AGENT_MIRROR_FIELD_CAP 80 /* a field name with its NUL */
#define AGENT_MIRROR_CHUNK 256    /* fields per step of a rewrite */

struct agent_mirror_config {
    struct ev_loop *loop;
    struct bus_link *link; /* borrowed; outlives the mirror */
    const char *key;       /* full name of the hash; copied */
    const char *head;      /* full name of the head key, or NULL; copied */
    /* Channel to publish the changed fields on, with LF between ("" = everything), or NULL; copied.
     */
    const char *wake;
    /* Value of FIELD now: malloc'd text; NULL = it is not there. */
    char *(*value)(void *arg, const char *field);
    /* Names of the next at most AGENT_MIRROR_CHUNK fields behind AFTER, in byte order. */
    size_t (*scan)(void *arg, const char *after, char fields[][AGENT_MIRROR_FIELD_CAP]);
    size_t (*count)(void *arg);     /* how many fields there are */
    char *(*head_value)(void *arg); /* malloc'd text of the head; with HEAD only */
    void *arg;
};

/* Nothing is written before agent_mirror_sync. Returns 0 or ERR_NOMEM. */
int agent_mirror_new(struct agent_mirror **out, const struct agent_mirror_config *cfg);
void agent_mirror_free(struct agent_mirror *self); /* NULL is fine */

/* FIELD changed. Cheap; nothing happens while the link is down, as a sync follows then. */
void agent_mirror_touch(struct agent_mirror *self, const char *field);
/* Rewrite everything: after each (re)connect, and when somebody asks. */
void agent_mirror_sync(struct agent_mirror *self);
/* Compare number of fields and head with what is on the bus; sync when they differ. */
void agent_mirror_compare(struct agent_mirror *self);

#endif
