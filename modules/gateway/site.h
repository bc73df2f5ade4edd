/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the data plane keeps per workload id while its exposure comes, changes and goes: numbers,
 * its visitors, and which backends failed lately. The exposure itself is immutable and replaced as
 * a whole. Owned by the route table (route.h); no I/O here.
 */
#ifndef MODULES_GATEWAY_SITE_H
#define MODULES_GATEWAY_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "modules/gateway/exposure.h"
#include "modules/gateway/refuse.h"
#include "modules/net/pace.h"

#define GW_FAULTS_MAX 16       /* failing backends remembered per workload */
#define GW_FAULT_MIN_MS 1000u  /* first time a failing backend is passed over */
#define GW_FAULT_MAX_MS 30000u /* longest */

struct gw_conn;
LIST_HEAD(gw_conn_list, gw_conn);
struct gw_way;
LIST_HEAD(gw_way_list, gw_way);

/* A way to a service: a backend of the exposure, through a session or dialled directly. */
struct gw_target {
    unsigned backend; /* index in exposure->backends */
    uint64_t session; /* serial of the session; 0 = direct */
};

/* A target that failed: passed over for a while. */
struct gw_fault {
    struct gw_target target;
    uint64_t until_ms; /* 0 = free slot */
    uint32_t wait_ms;  /* the last wait, doubled each time */
};

/* Usage, all in all. */
struct gw_site_sum {
    uint64_t rx_bytes, tx_bytes, connections;
    uint32_t active;
};

struct gw_site {
    struct gw_exposure *exposure; /* one reference; NULL once removed */
    char id[GW_ID_MAX];
    struct gw_conn_list conns; /* visitors that reached the route, waiting ones too */
    size_t conn_count;
    struct gw_way_list spares; /* the last one used first; spares.h */
    unsigned online;           /* sessions that can serve it */
    /* Of several workers: the one that takes new visitors, and those that serve it, as bits (the
     * first worker knows); all but its home are being left. Of one alone 0 and 1. */
    unsigned home;
    uint32_t on;
    unsigned online_there; /* as `online`, of a home that is not this worker */
    bool moved;            /* its home has changed, and not everybody knows */
    uint64_t left_ms;      /* monotonic: its home has changed last */
    unsigned fault_count;  /* how many of `faults` are taken: most often none, then nobody looks */
    /* usage since the start; what is under way is added by the visitors themselves */
    uint64_t rx_bytes, tx_bytes, connections;
    uint32_t active;
    struct gw_site_sum elsewhere; /* with other workers; as of the last look of numbers.c */
    /* new_per_second: tokens in thousandths */
    uint64_t tokens, tokens_at_ms;
    struct net_pace pace; /* bytes_per_second, of all its visitors, both ways together */
    unsigned direct_active[GW_BACKENDS_MAX]; /* visitors on each direct backend */
    struct gw_fault faults[GW_FAULTS_MAX];
};

/* A site for ID, without exposure; NULL when out of memory. */
struct gw_site *gw_site_new(const char *id);
/* It has no visitors any more. NULL is fine. */
void gw_site_free(struct gw_site *self);

/* Who wants to be served. */
struct gw_caller {
    enum gw_port_kind port;
    const struct addr *peer;
    bool is_in; /* it is one of the site's visitors already: with another request */
};

/* Why CALLER is not served now; NONE when it is: then new_per_second has one token less, unless it
 * is in already. */
enum gw_reason gw_site_judge(struct gw_site *self, const struct gw_caller *caller, uint64_t now_ms);

/* TARGET failed just now: pass it over. */
void gw_site_fault(struct gw_site *self, const struct gw_target *target, uint64_t now_ms);
/* TARGET worked: forget its failures. */
void gw_site_cure(struct gw_site *self, const struct gw_target *target);
bool gw_site_is_faulty(const struct gw_site *self, const struct gw_target *target, uint64_t now_ms);
/* The exposure changed: backends may have other places now. */
void gw_site_forget_faults(struct gw_site *self);

#endif
