/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway says on the bus, as JSON text: reports to the agent, events, and the entries of
 * netwall:tunnels. Pure; sending is outbox.h's and tunnels.h's matter. All texts are malloc'd and
 * the caller's; NULL means out of memory.
 */
#ifndef MODULES_GATEWAY_REPORT_H
#define MODULES_GATEWAY_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/facts.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/store.h"
#include "schemas/result.h"

/* {"kind":"state","id","epoch","rev","state","message","error"?,"data","retry_at"?} */
char *gw_report_state(const struct gw_entry *entry, const struct sch_result *result);

/* {"kind":"online","id","online","last_error"?}; ERROR may be NULL. */
char *gw_report_online(const char *id, unsigned online, const struct gw_last_error *error);

/* {"kind":"resync","epoch","rev","why"}: MARK is the newest state that was taken over. */
char *gw_report_resync(struct gw_mark mark, const char *why);

/* {"kind":"replace_failed","pid","why"}: this process could not be replaced by a new one. */
char *gw_report_replace_failed(const char *why);

/* {"rx_bytes","tx_bytes","connections","active"}: a new reference. */
json_t *gw_report_usage_json(const struct gw_usage *usage);
/* {"kind":"usage","instance","totals"}; TOTALS (id -> usage) is taken over. */
char *gw_report_usage(const char *instance, json_t *totals);

struct gw_report_info {
    const char *module;
    const char *instance;         /* random hex of this process */
    const struct gw_facts *facts; /* domain, addresses, keys, ports */
    size_t free_ports;
    size_t exposures;
    size_t sessions;
    json_t *refused;      /* reason -> count; taken over */
    json_t *gateway_keys; /* our public key -> sessions made with it; taken over */
};
/* {"kind":"info",...}: who we are and how we are. */
char *gw_report_info(const struct gw_report_info *info);

/* One session as in netwall:tunnels: a new reference. Text from outside is made valid UTF-8. */
json_t *gw_report_session(const struct gw_session_info *session);
/* {"event":"tunnel.up"|"tunnel.down", ..., "at","why"?} */
char *gw_report_tunnel_event(const struct gw_session_info *session, bool up, const char *why,
                             uint64_t now_ms);
/* {"event":"tunnel.link_lost"|"tunnel.resumed", "key","name","instance","links","at", and "link",
 * "remote","why" or "streams", "skipped"?}; SKIPPED: such events that were not told. */
char *gw_report_link_event(const struct gw_session_info *session, const struct gw_link_news *news,
                           unsigned skipped, uint64_t now_ms);

#endif
