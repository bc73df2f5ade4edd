/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway was told to serve: one entry per workload and owner, kept over restarts by the
 * snapshot. The agent's entries and those of zbus callers never mix: each is found, replaced and
 * deleted by its owner only. Plain memory: no bus, no disk, no routes.
 */
#ifndef MODULES_GATEWAY_STORE_H
#define MODULES_GATEWAY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "modules/gateway/exposure.h"

#define GW_HASH_LEN 32
#define GW_SPEC_MAX (80u << 10) /* bytes of a spec: a contract's 64 KiB and what the agent adds */

struct gw_store; /* opaque: store.c */
struct gw_task;  /* opaque: provision.c */

enum gw_owner { GW_OWNER_AGENT, GW_OWNER_ZBUS };

struct gw_entry {
    char id[GW_ID_MAX];
    enum gw_owner owner;
    /* agent's entries: the assignment that made it so */
    uint64_t epoch;
    uint64_t rev;
    bool gone; /* a delete that the agent has not yet taken off the bus */
    uint8_t hash[GW_HASH_LEN];
    char *spec; /* owned; JSON text, "" when gone */
    size_t spec_len;
    /* what was found out or given while bringing it into service */
    uint16_t port;  /* TCP: given out, kept for the life of the workload; 0 = none yet */
    bool verified;  /* its host name was proven to be the tenant's */
    bool late;      /* named a key that another twin had named before: at a start it comes after */
    uint64_t order; /* its place in the line for its host name or port, kept as long as it wants
                       them: of two who want the same the lower one has it; 0 = none yet */
    /* of this process only */
    uint64_t saved; /* fingerprint of what was last asked to be written; 0 = never (control) */
    bool touched;   /* is to be written (store) */
    TAILQ_ENTRY(gw_entry) touches;
    bool seen;            /* its field was on the bus at the last look (assign) */
    struct gw_task *task; /* owned by the provisioner; NULL before and after */
};

/* Newest desired state that was taken over whole: older ones are replays. */
struct gw_mark {
    uint64_t epoch;
    uint64_t rev;
};

/* Whether (EPOCH, REV) comes after MARK. */
bool gw_mark_before(const struct gw_mark *mark, uint64_t epoch, uint64_t rev);

int gw_store_new(struct gw_store **out);   /* 0 or ERR_NOMEM */
void gw_store_free(struct gw_store *self); /* with all entries; their tasks must be gone */

/* NULL when there is none. */
struct gw_entry *gw_store_find(const struct gw_store *self, enum gw_owner owner, const char *id);
/* The entry of OWNER and ID, made empty when missing. Returns 0, ERR_INVALID (id empty or too
 * long) or ERR_NOMEM. */
int gw_store_obtain(struct gw_store *self, struct gw_entry **out, enum gw_owner owner,
                    const char *id);
/* Take ENTRY out and free it; its task must be gone. */
void gw_store_remove(struct gw_store *self, struct gw_entry *entry);
/* Copy LEN bytes of SPEC into ENTRY in place of the old. Returns 0, ERR_LIMIT or ERR_NOMEM; on
 * error nothing changed. */
int gw_entry_set_spec(struct gw_entry *entry, const char *spec, size_t len);

/* Iterate: *AT starts at 0; NULL at the end. The current entry may be removed, nothing added. */
struct gw_entry *gw_store_next(const struct gw_store *self, size_t *at);
size_t gw_store_count(const struct gw_store *self);

/* The next place in the line; lower than all that follow, higher than all entries have. */
uint64_t gw_store_next_order(struct gw_store *self);
/* ENTRY has this place from before. */
void gw_store_keep_order(struct gw_store *self, struct gw_entry *entry, uint64_t order);
/* All entries, those who come first first: late ones last, then by order (none = last), the agent's
 * before zbus callers', id. A new array of *COUNT, or NULL when out of memory. */
struct gw_entry **gw_store_in_order(const struct gw_store *self, size_t *count);

/*
 * What the next save has to write: entries that were touched, and removed ones, which note
 * themselves. Both lists are read in order and forgotten together once they are text.
 */
void gw_store_touch(struct gw_store *self, struct gw_entry *entry);
/* Iterate: *AT starts at NULL. */
struct gw_entry *gw_store_next_touched(const struct gw_store *self, struct gw_entry *at);
/* Iterate over removed ones: *AT starts at 0; the id, or NULL at the end. */
const char *gw_store_next_removed(const struct gw_store *self, size_t *at, enum gw_owner *owner);
/* Touched and removed ones; SIZE_MAX: some could not be noted, only a whole file has them. */
size_t gw_store_touched_count(const struct gw_store *self);
void gw_store_forget_touched(struct gw_store *self);

/* The newest desired state of the agent that was applied. */
struct gw_mark gw_store_mark(const struct gw_store *self);
void gw_store_set_mark(struct gw_store *self, struct gw_mark mark);

#endif
