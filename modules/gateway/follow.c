/* SPDX-License-Identifier: Apache-2.0 */
/* Two stores side by side; see follow.h. */
#include "modules/gateway/follow.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/snapshot.h"

static bool same_spec(const struct gw_entry *a, const struct gw_entry *b)
{
    return a->gone == b->gone && a->spec_len == b->spec_len &&
           (a->spec_len == 0 || memcmp(a->spec, b->spec, a->spec_len) == 0);
}

/* ENTRY becomes what THEIRS is. */
static void take(struct gw_store *store, struct gw_entry *entry, const struct gw_entry *theirs,
                 struct gw_provisioner *provisioner)
{
    bool same = same_spec(entry, theirs) && entry->port == theirs->port;

    entry->epoch = theirs->epoch;
    entry->rev = theirs->rev;
    entry->verified = entry->verified || theirs->verified;
    gw_store_keep_order(store, entry, theirs->order);
    memcpy(entry->hash, theirs->hash, sizeof(entry->hash));
    if (same)
        return;
    if (gw_entry_set_spec(entry, theirs->spec, theirs->spec_len) != ERR_OK)
        return; /* out of memory: the old one is served on */
    entry->gone = theirs->gone;
    if (entry->port != theirs->port) {
        gw_provision_drop(provisioner, entry); /* gives the port back */
        entry->port = theirs->port;
        gw_provision_keep_port(provisioner, entry);
    }
    gw_provision_apply(provisioner, entry);
}

/* What is not in THEIRS any more goes first: it may hold a name or port that another one has now.
 */
static void drop_missing(struct gw_store *store, const struct gw_store *theirs,
                         struct gw_provisioner *provisioner)
{
    struct gw_entry *entry;
    size_t at = 0;

    while ((entry = gw_store_next(store, &at)) != NULL) {
        const struct gw_entry *other = gw_store_find(theirs, entry->owner, entry->id);

        if (other != NULL && !other->gone)
            continue;
        gw_provision_drop(provisioner, entry);
        if (other == NULL)
            gw_store_remove(store, entry);
    }
}

/* In the order in which they came to the process that wrote it. */
static int take_all(struct gw_store *store, const struct gw_store *theirs,
                    struct gw_provisioner *provisioner)
{
    size_t count;
    struct gw_entry **list = gw_store_in_order(theirs, &count), *entry;

    if (list == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (gw_store_obtain(store, &entry, list[i]->owner, list[i]->id) == ERR_OK)
            take(store, entry, list[i], provisioner);
    }
    free(list);
    return ERR_OK;
}

int gw_follow(struct gw_store *store, struct gw_provisioner *provisioner, const char *dir)
{
    char boot[GW_BOOT_MAX], why[GW_SNAPSHOT_WHY_MAX];
    struct gw_snapshot_found found;
    struct gw_store *theirs;
    int rc = gw_store_new(&theirs);
    bool whole;

    if (rc != ERR_OK)
        return rc;
    gw_snapshot_boot(boot);
    rc = gw_snapshot_load(theirs, dir, boot, &found, why);
    whole = found.len > 0 && found.bad == 0; /* else what is missing in it may be there */
    if (rc == ERR_OK) {
        if (whole)
            drop_missing(store, theirs, provisioner);
        rc = take_all(store, theirs, provisioner);
        if (whole)
            gw_store_set_mark(store, gw_store_mark(theirs));
    } else {
        LOG_ERROR("cannot follow the state file", KV_S("dir", dir), KV_S("why", why));
    }
    gw_store_free(theirs);
    return rc;
}
