/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of the reports. */
#include "modules/gateway/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/hex.h"
#include "schemas/workload.h"

#define FOREIGN_LONG 512 /* bytes kept of a reason */
#define FOREIGN_MAX 128  /* bytes kept of a text that a stranger wrote */

/* Takes JSON over. */
static char *to_text(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

/* MAX bytes of a text from outside; what is not plain ASCII is replaced. */
static json_t *foreign_up_to(const char *text, size_t max)
{
    char plain[FOREIGN_LONG + 1];
    size_t i;

    for (i = 0; text != NULL && text[i] != '\0' && i < max; i++)
        plain[i] = (char)(text[i] < 0x20 || text[i] >= 0x7f ? '?' : text[i]);
    plain[i] = '\0';
    return json_string(plain);
}

static json_t *foreign(const char *text)
{
    return foreign_up_to(text, FOREIGN_MAX);
}

static json_t *hex_json(const uint8_t *data, size_t len)
{
    char text[2 * GW_KEY_LEN + 1];

    hex_encode(text, data, len);
    return json_string(text);
}

char *gw_report_state(const struct gw_entry *entry, const struct sch_result *result)
{
    json_t *body = sch_result_json(result);

    if (body == NULL)
        return NULL;
    (void)json_object_set_new(body, "kind", json_string("state"));
    (void)json_object_set_new(body, "id", json_string(entry->id));
    (void)json_object_set_new(body, "epoch", json_integer((json_int_t)entry->epoch));
    (void)json_object_set_new(body, "rev", json_integer((json_int_t)entry->rev));
    return to_text(body);
}

static json_t *error_json(const struct gw_last_error *error)
{
    return json_pack("{s:I, s:o, s:o}", "at", (json_int_t)(error->at_ms / 1000), "connector",
                     error->is_tunnel ? hex_json(error->connector, sizeof(error->connector))
                                      : json_string(""),
                     "what", foreign(error->what));
}

char *gw_report_online(const char *id, unsigned online, const struct gw_last_error *error)
{
    json_t *body =
        json_pack("{s:s, s:s, s:I}", "kind", "online", "id", id, "online", (json_int_t)online);

    if (body != NULL && error != NULL)
        (void)json_object_set_new(body, "last_error", error_json(error));
    return to_text(body);
}

char *gw_report_resync(struct gw_mark mark, const char *why)
{
    return to_text(json_pack("{s:s, s:I, s:I, s:o}", "kind", "resync", "epoch",
                             (json_int_t)mark.epoch, "rev", (json_int_t)mark.rev, "why",
                             foreign(why)));
}

char *gw_report_replace_failed(const char *why)
{
    return to_text(json_pack("{s:s, s:i, s:o}", "kind", "replace_failed", "pid", (int)getpid(),
                             "why", foreign_up_to(why, FOREIGN_LONG)));
}

json_t *gw_report_usage_json(const struct gw_usage *usage)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "rx_bytes", (json_int_t)usage->rx_bytes, "tx_bytes",
                     (json_int_t)usage->tx_bytes, "connections", (json_int_t)usage->connections,
                     "active", (json_int_t)usage->active);
}

char *gw_report_usage(const char *instance, json_t *totals)
{
    return to_text(
        json_pack("{s:s, s:s, s:o}", "kind", "usage", "instance", instance, "totals", totals));
}

char *gw_report_info(const struct gw_report_info *info)
{
    const struct gw_config *config = info->facts->config;
    json_t *types =
        json_pack("[s, s, s]", SCH_TYPE_NAME_PROXY, SCH_TYPE_FQDN_PROXY, SCH_TYPE_TCP_PROXY);
    json_t *ports = json_pack("{s:i, s:i, s:I}", "from", (int)config->tcp_from, "to",
                              (int)config->tcp_to, "free", (json_int_t)info->free_ports);
    json_t *counts = json_pack("{s:I, s:I}", "exposures", (json_int_t)info->exposures, "sessions",
                               (json_int_t)info->sessions);

    return to_text(
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "kind",
                  "info", "module", info->module, "pid", (int)getpid(), "instance", info->instance,
                  "version", NW_VERSION, "workload_types", types, "domain", config->domain,
                  "public_addresses", gw_facts_addresses(info->facts), "tunnel",
                  gw_facts_tunnel(info->facts), "tcp_ports", ports, "counts", counts, "refused",
                  info->refused, "gateway_keys", info->gateway_keys, "replaces_itself", 1));
}

static json_t *remote_json(const struct addr *remote)
{
    char text[ADDR_TEXT_MAX];

    addr_print(text, remote);
    return json_string(text);
}

static json_t *connections_json(const struct gw_session_info *session)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < session->links; i++) {
        const struct link_info *link = &session->connections[i];

        (void)json_array_append_new(
            list,
            json_pack("{s:i, s:o, s:I, s:I, s:I}", "link", (int)link->number, "remote",
                      remote_json(&link->remote), "since", (json_int_t)(link->since_ms / 1000),
                      "rtt_us", (json_int_t)link->rtt_us, "streams", (json_int_t)link->streams));
    }
    return list;
}

json_t *gw_report_session(const struct gw_session_info *session)
{
    json_t *body =
        json_pack("{s:o, s:o, s:o, s:o, s:I, s:i, s:I, s:I, s:I, s:I, s:s, s:I, s:o}", "key",
                  hex_json(session->key, sizeof(session->key)), "name", foreign(session->name),
                  "instance", hex_json(session->instance, sizeof(session->instance)), "remote",
                  remote_json(&session->remote), "since", (json_int_t)(session->since_ms / 1000),
                  "links", (int)session->links, "rtt_us", (json_int_t)session->rtt_us, "streams",
                  (json_int_t)session->streams, "rx_bytes", (json_int_t)session->rx_bytes,
                  "tx_bytes", (json_int_t)session->tx_bytes, "state", session->state, "twin",
                  (json_int_t)session->twin, "software", foreign(session->software));

    if (body == NULL)
        return NULL;
    (void)json_object_set_new(body, "gateway_key",
                              hex_json(session->gateway_key, sizeof(session->gateway_key)));
    (void)json_object_set_new(body, "streams_waiting", json_integer(session->streams_waiting));
    (void)json_object_set_new(body, "resumes", json_integer(session->resumes));
    (void)json_object_set_new(body, "connections", connections_json(session));
    if (session->lost.at_ms != 0)
        (void)json_object_set_new(body, "lost",
                                  json_pack("{s:I, s:s}", "at",
                                            (json_int_t)(session->lost.at_ms / 1000), "why",
                                            session->lost.why));
    return body;
}

char *gw_report_tunnel_event(const struct gw_session_info *session, bool up, const char *why,
                             uint64_t now_ms)
{
    json_t *body = gw_report_session(session);

    if (body == NULL)
        return NULL;
    (void)json_object_set_new(body, "event", json_string(up ? "tunnel.up" : "tunnel.down"));
    (void)json_object_set_new(body, "at", json_integer((json_int_t)(now_ms / 1000)));
    if (!up && why != NULL)
        (void)json_object_set_new(body, "why", foreign(why));
    return to_text(body);
}

char *gw_report_link_event(const struct gw_session_info *session, const struct gw_link_news *news,
                           unsigned skipped, uint64_t now_ms)
{
    bool lost = news->what == GW_LINK_LOST;
    json_t *body = json_pack(
        "{s:s, s:o, s:o, s:o, s:i, s:I}", "event", lost ? "tunnel.link_lost" : "tunnel.resumed",
        "key", hex_json(session->key, sizeof(session->key)), "name", foreign(session->name),
        "instance", hex_json(session->instance, sizeof(session->instance)), "links",
        (int)session->links, "at", (json_int_t)(now_ms / 1000));

    if (body == NULL)
        return NULL;
    if (lost) {
        (void)json_object_set_new(body, "link", json_integer(news->number));
        (void)json_object_set_new(body, "remote", remote_json(news->remote));
        (void)json_object_set_new(body, "why", json_string(news->why));
    } else {
        (void)json_object_set_new(body, "streams", json_integer(news->streams));
    }
    if (skipped > 0)
        (void)json_object_set_new(body, "skipped", json_integer(skipped));
    return to_text(body);
}
