/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant is told about its exposure: the `data` of the workload's result (INTERFACE section
 * 3): addresses that work, warnings about what does not, the DNS records it takes. Pure.
 */
#ifndef MODULES_GATEWAY_FACTS_H
#define MODULES_GATEWAY_FACTS_H

#include <jansson.h>
#include <stdbool.h>

#include "modules/gateway/config.h"
#include "modules/gateway/wanted.h"

struct gw_facts {
    const struct gw_config *config; /* borrowed */
    const char *public_key;         /* the gateway's, hex; borrowed */
    const char *next_key;           /* accepted beside it during a rotation, or ""; borrowed */
};

/* Data of WANTED; SERVED says whether it is in place now (else it has no urls and addresses). A new
 * reference, or NULL without memory. */
json_t *gw_facts_data(const struct gw_facts *self, const struct gw_wanted *wanted, bool served);
/*
 * The public URLs ("tcp://ip:port" for a port) with a space between, for the connector's log:
 * malloc'd, NULL when there are none.
 */
char *gw_facts_urls(const struct gw_facts *self, const struct gw_wanted *wanted);
/* {"endpoint","public_key","next_public_key"?}: a new reference, or NULL. */
json_t *gw_facts_tunnel(const struct gw_facts *self);
/* The public addresses as a list of texts. */
json_t *gw_facts_addresses(const struct gw_facts *self);

#endif
