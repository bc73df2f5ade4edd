/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at the agent's desired state: collects fields, judges them against the head, and takes
 * over what is newer. A replayed, partial or bit-flipped state changes nothing, and nothing is
 * deleted but by a "gone" entry. How the fields are read is assign.h's matter.
 */
#ifndef MODULES_GATEWAY_DESIRED_H
#define MODULES_GATEWAY_DESIRED_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/gateway/store.h"
#include "schemas/assignment.h"

#define GW_DESIRED_MAX 1000000 /* fields of one look */
#define GW_DESIRED_WHY_MAX 512

struct gw_desired; /* opaque: desired.c */

enum gw_verdict {
    GW_DESIRED_GOOD,  /* whole and not older than what we have */
    GW_DESIRED_STALE, /* older than what was taken over: a replay */
    GW_DESIRED_WRONG, /* the fields are not what the head says */
};

/* What all fields on the bus add up to after a good look; the base of the next partial one. */
struct gw_desired_sum {
    bool known;
    struct sch_digest digest;
    uint64_t count;
};

struct gw_desired_ops {
    /* ENTRY was taken over; CHANGED false: only its (epoch, rev). Deletes come first, then the rest
     * by rev; the store holds all of them already. May not remove entries. */
    void (*on_change)(void *arg, struct gw_entry *entry, bool changed);
    /* ENTRY is gone and the agent has taken its field away: forget and remove it from the store. */
    void (*on_forget)(void *arg, struct gw_entry *entry);
    /* ENTRY is served, but the agent's whole and good state does not know it. It is kept. */
    void (*on_orphan)(void *arg, struct gw_entry *entry);
    void *arg;
};

/*
 * Begin a look. BASE NULL: all fields will be added; else only those that may have changed since
 * BASE (which must be known). STORE is borrowed. Returns 0 or ERR_NOMEM.
 */
int gw_desired_new(struct gw_desired **out, struct gw_store *store,
                   const struct gw_desired_sum *base);
void gw_desired_free(struct gw_desired *self); /* NULL is fine */

/*
 * A field and its value, in place of what came before for it: HSCAN repeats some, and some are read
 * again because they changed meanwhile. Returns 0;
 * ERR_INVALID with WHY when it is no entry or its hash is wrong (the look is then WRONG); ERR_LIMIT
 * or ERR_NOMEM.
 */
int gw_desired_add(struct gw_desired *self, const char *id, size_t id_len, const char *text,
                   size_t len, char why[GW_DESIRED_WHY_MAX]);
/* There is no field ID, whatever came before. */
void gw_desired_absent(struct gw_desired *self, const char *id);

/* Compare what was added with HEAD; WHY says what is wrong unless GOOD. */
enum gw_verdict gw_desired_judge(const struct gw_desired *self, const struct sch_assign_head *head,
                                 char why[GW_DESIRED_WHY_MAX]);
/* Whether HEAD is older than what STORE took over; WHY says so. */
bool gw_desired_is_stale(const struct gw_store *store, const struct sch_assign_head *head,
                         char why[GW_DESIRED_WHY_MAX]);
/*
 * Whether the agent's entries of STORE are, one by one, what HEAD says: then nothing has to be
 * read. Takes over the epoch, sets the mark and *SUM, as gw_desired_apply would.
 */
bool gw_desired_fits(struct gw_store *store, const struct sch_assign_head *head,
                     const struct gw_desired_ops *ops, struct gw_desired_sum *sum);
/*
 * After GOOD: take over what is newer and set the store's mark. *SUM gets the new sum. Returns 0 or
 * ERR_NOMEM (some entries wait for the next look, the mark stays).
 */
int gw_desired_apply(struct gw_desired *self, const struct sch_assign_head *head,
                     const struct gw_desired_ops *ops, struct gw_desired_sum *sum);

#endif
