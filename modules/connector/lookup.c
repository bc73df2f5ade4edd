/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of one target, now; see lookup.h. */
#include "modules/connector/lookup.h"

#include <stdlib.h>

#include "bus/base/err.h"

struct con_lookup {
    struct net_resolver *resolver;
    net_resolve_addrs_fn *on_done;
    void *arg;
};

void con_lookup_cancel(struct con_lookup *self)
{
    if (self == NULL)
        return;
    net_resolver_free(self->resolver); /* and the question with it */
    free(self);
}

static void on_addrs(void *arg, int rc, const struct addr *addrs, size_t count)
{
    struct con_lookup *self = arg;
    net_resolve_addrs_fn *on_done = self->on_done;
    void *done_arg = self->arg;

    con_lookup_cancel(self);
    on_done(done_arg, rc, addrs, count);
}

int con_lookup_start(struct con_lookup **out, const struct con_lookup_config *cfg)
{
    struct net_resolver_config resolver = {.timeout_ms = cfg->timeout_ms};
    struct con_lookup *self = calloc(1, sizeof(*self));
    struct net_resolve_question question = {
        .name = cfg->target->host, .port = cfg->target->port, .on_addrs = on_addrs, .arg = self};
    struct net_resolve *handle;

    if (self == NULL)
        return ERR_NOMEM;
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    if (net_resolver_new(&self->resolver, cfg->loop, &resolver) != ERR_OK)
        goto free_self;
    if (net_resolve_start(&handle, self->resolver, &question) != ERR_OK)
        goto free_resolver;
    *out = self;
    return ERR_OK;

free_resolver:
    net_resolver_free(self->resolver);
free_self:
    free(self);
    return ERR_NOMEM;
}
