/* SPDX-License-Identifier: Apache-2.0 */
/* Rate and failing backends of one workload; see site.h. */
#include "modules/gateway/site.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN 1000u /* one visitor */

struct gw_site *gw_site_new(const char *id)
{
    struct gw_site *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    LIST_INIT(&self->conns);
    LIST_INIT(&self->spares);
    self->on = 1;
    (void)snprintf(self->id, sizeof(self->id), "%s", id); /* as long as the one it comes from */
    return self;
}

void gw_site_free(struct gw_site *self)
{
    if (self == NULL)
        return;
    assert(LIST_EMPTY(&self->conns) && LIST_EMPTY(&self->spares));
    gw_exposure_unref(self->exposure);
    free(self);
}

/* Takes a token of new_per_second, if there is one. */
static bool take_token(struct gw_site *self, uint64_t now_ms)
{
    uint64_t rate = self->exposure->new_per_second, cap = rate * TOKEN;

    if (rate == 0)
        return true;
    if (self->tokens_at_ms == 0)
        self->tokens = cap; /* a burst of one second's worth at the start */
    else
        self->tokens += (now_ms - self->tokens_at_ms) * rate;
    self->tokens_at_ms = now_ms;
    if (self->tokens > cap)
        self->tokens = cap;
    if (self->tokens < TOKEN)
        return false;
    self->tokens -= TOKEN;
    return true;
}

enum gw_reason gw_site_judge(struct gw_site *self, const struct gw_caller *caller, uint64_t now_ms)
{
    const struct gw_exposure *e = self->exposure;

    if (caller->port == GW_PORT_TLS && !e->tls_passthrough)
        return GW_REASON_NOT_PASSTHROUGH;
    if (caller->port == GW_PORT_HTTP && e->http == GW_HTTP_OFF)
        return GW_REASON_HTTP_OFF;
    if (e->paused)
        return GW_REASON_PAUSED;
    if (!gw_exposure_allows(e, caller->peer))
        return GW_REASON_NOT_ALLOWED;
    if (caller->is_in)
        return GW_REASON_NONE;
    if (e->connections > 0 && self->conn_count >= e->connections)
        return GW_REASON_CONNECTION_LIMIT;
    if (!take_token(self, now_ms))
        return GW_REASON_RATE_LIMIT;
    return GW_REASON_NONE;
}

static bool same(const struct gw_target *a, const struct gw_target *b)
{
    return a->backend == b->backend && a->session == b->session;
}

static struct gw_fault *find(const struct gw_site *self, const struct gw_target *target)
{
    for (size_t i = 0; self->fault_count > 0 && i < GW_FAULTS_MAX; i++) {
        const struct gw_fault *fault = &self->faults[i];

        if (fault->until_ms != 0 && same(&fault->target, target))
            return (struct gw_fault *)fault; /* SELF is only const for the look */
    }
    return NULL;
}

/* A slot for one more: a free one, or the one that ends first. */
static struct gw_fault *oldest(struct gw_site *self)
{
    struct gw_fault *best = &self->faults[0];

    for (size_t i = 1; i < GW_FAULTS_MAX; i++) {
        if (self->faults[i].until_ms < best->until_ms)
            best = &self->faults[i];
    }
    return best;
}

void gw_site_fault(struct gw_site *self, const struct gw_target *target, uint64_t now_ms)
{
    struct gw_fault *fault = find(self, target);

    if (fault == NULL) {
        fault = oldest(self);
        self->fault_count += fault->until_ms == 0;
        *fault = (struct gw_fault){.target = *target};
    }
    fault->wait_ms = fault->wait_ms == 0 ? GW_FAULT_MIN_MS : fault->wait_ms * 2;
    if (fault->wait_ms > GW_FAULT_MAX_MS)
        fault->wait_ms = GW_FAULT_MAX_MS;
    fault->until_ms = now_ms + fault->wait_ms;
}

void gw_site_cure(struct gw_site *self, const struct gw_target *target)
{
    struct gw_fault *fault = find(self, target);

    if (fault == NULL)
        return;
    *fault = (struct gw_fault){0};
    self->fault_count--;
}

bool gw_site_is_faulty(const struct gw_site *self, const struct gw_target *target, uint64_t now_ms)
{
    const struct gw_fault *fault = find(self, target);

    return fault != NULL && fault->until_ms > now_ms;
}

void gw_site_forget_faults(struct gw_site *self)
{
    memset(self->faults, 0, sizeof(self->faults));
    self->fault_count = 0;
}
