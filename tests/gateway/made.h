/* SPDX-License-Identifier: Apache-2.0 */
/* Things that several gateway tests need: specs as the agent writes them, entries, configs. */
#ifndef TESTS_GATEWAY_MADE_H
#define TESTS_GATEWAY_MADE_H

#include <jansson.h>
#include <stdbool.h>

#include "modules/gateway/config.h"
#include "modules/gateway/store.h"
#include "schemas/assignment.h"

#define MADE_KEY "aa00000000000000000000000000000000000000000000000000000000000001"
#define MADE_TWIN_KEY "bb00000000000000000000000000000000000000000000000000000000000002"

/* Config from the text of a gateway.conf; fails the test when it is not valid. */
void made_config(struct gw_config *out, const char *text);

/* Data of a workload: one tunnel backend, and FIELDS ("\"name\":\"blog\"") in front. */
json_t *made_data(const char *fields);
/* Spec of workload "7-1-NAME" of TYPE with DATA (taken over). */
json_t *made_spec(const char *name, const char *type, json_t *data);
/* Spec of a gateway-name-proxy "7-1-NAME" that exposes HOST (one label). */
json_t *made_name(const char *name, const char *host);

/* The entry of the agent "7-1-NAME" in STORE, with SPEC (taken over) and its hash. */
struct gw_entry *made_entry(struct gw_store *store, const char *name, json_t *spec);

/* A desired state under construction: fields as text, and the head that fits. */
struct made_desired {
    struct sch_assign_head head;
    struct sch_digest digest;
};
/* Text of the field of ID at REV; SPEC (taken over) NULL = gone. Counts it into D. */
char *made_field(struct made_desired *d, const char *id, uint64_t rev, json_t *spec);
/* Set D's head to what was counted, at EPOCH and REV. */
void made_head(struct made_desired *d, uint64_t epoch, uint64_t rev);

#endif
