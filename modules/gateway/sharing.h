/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker serves what, as the first of several does it: gives each exposure to the worker that
 * has its keys, with copies of its own, and brings together what an update has joined. An exposure
 * that moves to another worker is served there at once; where it was, its visitors and the streams
 * on its sessions finish, at most upgrade-drain-timeout long.
 */
#ifndef MODULES_GATEWAY_SHARING_H
#define MODULES_GATEWAY_SHARING_H

#include <stdint.h>

struct gw_exposure;
struct gw_site;
struct gw_worker;

/* CHIEF begins or ends to share; 0 or ERR_NOMEM. */
int gw_sharing_new(struct gw_worker *chief);
void gw_sharing_free(struct gw_worker *chief);

/*
 * SITE, which is in the routes of CHIEF, has EXPOSURE from now on, in place of OLD (NULL: it is
 * new): choose its home and serve it there, and wherever it is still being left. What CHIEF serves
 * itself (site->on) is the caller's to bind. Returns 0, or an error: then nothing changed.
 */
int gw_sharing_put(struct gw_worker *chief, struct gw_site *site, struct gw_exposure *exposure,
                   struct gw_exposure *old);
/* Who served a site. */
struct gw_sharing_state {
    unsigned home;
    uint32_t on;
};

/* Undo gw_sharing_put, which succeeded: SITE is served by OLD where it WAS. */
void gw_sharing_restore(struct gw_worker *chief, struct gw_site *site,
                        const struct gw_exposure *old, const struct gw_sharing_state *was);
/* It is bound everywhere: bring together what it has joined. */
void gw_sharing_settle(struct gw_worker *chief, struct gw_site *site);
/* No other worker serves SITE any more, nor finds it by its host. */
void gw_sharing_unlist(struct gw_worker *chief, const struct gw_site *site);
void gw_sharing_remove(struct gw_worker *chief, struct gw_site *site);
/* EXPOSURE is no longer named: after it was replaced or removed. */
void gw_sharing_forget(struct gw_worker *chief, const struct gw_exposure *exposure);
/* `foreign` of SITE's exposure has changed. */
void gw_sharing_mark(struct gw_worker *chief, struct gw_site *site);

#endif
