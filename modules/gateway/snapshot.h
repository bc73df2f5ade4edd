/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last known good desired state as a file, so that the gateway serves with no bus at all, from
 * a cold start too. Text, one line per entry, each line with its own check sum: a damaged line
 * costs that entry and nothing else. Behind what was written whole come lines that say what changed
 * since, the newest last; a last one that is cut was never finished and says nothing. When to write
 * is saver.h's matter.
 */
#ifndef MODULES_GATEWAY_SNAPSHOT_H
#define MODULES_GATEWAY_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/gateway/store.h"

#define GW_SNAPSHOT_VERSION 2
#define GW_SNAPSHOT_FILE "exposures.state" /* in the state folder */
#define GW_SNAPSHOT_MAX ((size_t)1 << 30)  /* bytes read back */
#define GW_SNAPSHOT_WHY_MAX 512
#define GW_SNAPSHOT_TAIL_MIN ((size_t)1 << 20) /* longer changes may be written anew */
#define GW_BOOT_MAX 64                         /* text of a boot id with its NUL */

/* The id of this boot of the node; "" when the kernel does not tell. What zbus callers set holds
 * for one boot, as in Zero-OS. */
void gw_snapshot_boot(char out[GW_BOOT_MAX]);

/*
 * STORE as text in malloc'd memory that the caller frees. Zbus entries are bound to BOOT. Returns 0
 * or ERR_NOMEM.
 */
int gw_snapshot_encode(const struct gw_store *store, const char *boot, char **out, size_t *out_len);
/* The same for what was touched since gw_store_forget_touched: lines to append. */
int gw_snapshot_encode_changes(const struct gw_store *store, char **out, size_t *out_len);

struct gw_snapshot_text {
    const char *text;
    size_t len;
};

/* What stands in a file that was read. */
struct gw_snapshot_found {
    size_t bad; /* damaged or missing lines */
    bool torn;  /* the last line was never finished */
    /* Lines may be appended: of our version and boot, nothing wrong with it, and the changes in it
     * are not yet longer than what they change. */
    bool appendable;
    size_t len; /* bytes of the file; 0 = there is none */
};

/*
 * Add the entries of the LEN bytes of TEXT to STORE; none of them is touched. Damaged lines are
 * left out and counted; WHY (filled when some are, or on error) names the first. Zbus entries of
 * another boot are left out silently. Returns 0; ERR_INVALID when the head is no good (nothing was
 * added); ERR_REFUSED when a newer netwall wrote it; ERR_NOMEM.
 */
int gw_snapshot_decode(struct gw_store *store, const char *boot, const struct gw_snapshot_text *in,
                       struct gw_snapshot_found *found, char why[GW_SNAPSHOT_WHY_MAX]);

/*
 * Read DIR/exposures.state into the empty STORE; FOUND (may be NULL) says how it was. A damaged
 * file is kept beside it under another name and logged; what is whole in it is used. Returns 0
 * (also when there is none); ERR_REFUSED (newer version: the program must not go on), ERR_SYS
 * (can't be read, or not be set aside) or ERR_NOMEM, with WHY.
 */
int gw_snapshot_load(struct gw_store *store, const char *dir, const char *boot,
                     struct gw_snapshot_found *found, char why[GW_SNAPSHOT_WHY_MAX]);

#endif
