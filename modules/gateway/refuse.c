/* SPDX-License-Identifier: Apache-2.0 */
/* The table of refusals; see refuse.h. */
#include "modules/gateway/refuse.h"

#include "bus/base/clock.h"
#include "modules/gateway/sni.h"
#include "modules/http/page.h"

#define RETRY_AFTER_S 5

struct row {
    const char *name;
    int status;              /* HTTP port; 0 = close */
    const char *proxy_error; /* RFC 9209 section 2.3 */
    uint8_t alert;           /* TLS port; 0 = close */
    bool retry_after;
};

static const struct row rows[GW_REASONS] = {
    [GW_REASON_NONE] = {"none", 0, NULL, 0, false},
    [GW_REASON_UNKNOWN_NAME] = {"unknown_name", 404, "destination_not_found",
                                GW_ALERT_UNRECOGNIZED_NAME, false},
    [GW_REASON_NO_NAME] = {"no_name", 404, "destination_not_found", GW_ALERT_UNRECOGNIZED_NAME,
                           false},
    [GW_REASON_NOT_PASSTHROUGH] = {"not_passthrough", 404, "destination_not_found",
                                   GW_ALERT_UNRECOGNIZED_NAME, false},
    [GW_REASON_HTTP_OFF] = {"http_off", 404, "destination_not_found", GW_ALERT_UNRECOGNIZED_NAME,
                            false},
    [GW_REASON_PAUSED] = {"paused", 503, "destination_unavailable", GW_ALERT_UNRECOGNIZED_NAME,
                          false},
    [GW_REASON_NO_CONNECTOR] = {"no_connector", 503, "destination_unavailable",
                                GW_ALERT_INTERNAL_ERROR, true},
    [GW_REASON_BACKEND_REFUSED] = {"backend_refused", 502, "connection_refused",
                                   GW_ALERT_INTERNAL_ERROR, false},
    [GW_REASON_OPEN_TIMEOUT] = {"open_timeout", 504, "connection_timeout", GW_ALERT_INTERNAL_ERROR,
                                false},
    [GW_REASON_BAD_ANSWER] = {"bad_answer", 502, "http_protocol_error", 0, false},
    [GW_REASON_ANSWER_TIMEOUT] = {"answer_timeout", 504, "http_response_timeout", 0, false},
    [GW_REASON_ANSWER_CUT] = {"answer_cut", 502, "connection_terminated", 0, false},
    [GW_REASON_NOT_TLS] = {"not_tls", 0, NULL, 0, false},
    [GW_REASON_EARLY_EOF] = {"early_eof", 0, NULL, 0, false},
    [GW_REASON_BAD_PROXY_HEADER] = {"bad_proxy_header", 0, NULL, 0, false},
    [GW_REASON_MALFORMED] = {"malformed", 400, "http_request_error", GW_ALERT_DECODE_ERROR, false},
    [GW_REASON_LOOP] = {"loop", 502, "proxy_loop_detected", 0, false},
    [GW_REASON_FIRST_BYTES_TIMEOUT] = {"first_bytes_timeout", 408, "http_request_error", 0, false},
    [GW_REASON_NOT_ALLOWED] = {"not_allowed", 403, "http_request_denied", 0, false},
    [GW_REASON_CONNECTION_LIMIT] = {"connection_limit", 429, "connection_limit_reached", 0, true},
    [GW_REASON_RATE_LIMIT] = {"rate_limit", 429, "connection_limit_reached", 0, true},
    [GW_REASON_SOURCE_LIMIT] = {"source_limit", 429, "connection_limit_reached", 0, true},
    [GW_REASON_NO_MEMORY] = {"no_memory", 503, "proxy_internal_error", GW_ALERT_INTERNAL_ERROR,
                             true},
    [GW_REASON_TUNNEL_DROPPED] = {"tunnel_dropped", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_PENALTY] = {"tunnel_penalty", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_HANDSHAKE] = {"tunnel_handshake", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_TIMEOUT] = {"tunnel_timeout", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_UNKNOWN_KEY] = {"tunnel_unknown_key", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_STALE] = {"tunnel_stale", 0, NULL, 0, false},
    [GW_REASON_TUNNEL_TOO_MANY] = {"tunnel_too_many", 0, NULL, 0, false},
};

/* For people, where the status alone would say something else than what happened. */
static const char *const words[GW_REASONS] = {
    [GW_REASON_BAD_ANSWER] = "The service behind this name gave an answer that makes no sense.",
    [GW_REASON_ANSWER_CUT] = "The service behind this name hung up without an answer.",
    [GW_REASON_LOOP] = "This request goes in a circle.",
};

const char *gw_reason_name(enum gw_reason reason)
{
    return rows[reason].name;
}

uint8_t gw_reason_alert(enum gw_reason reason)
{
    return rows[reason].alert;
}

int gw_reason_status(enum gw_reason reason)
{
    return rows[reason].status;
}

static struct http_page page_of(const struct gw_refusal *refusal)
{
    const struct row *row = &rows[refusal->reason];

    return (struct http_page){
        .status = refusal->status != 0 ? refusal->status : row->status,
        .words = words[refusal->reason],
        .proxy_error = row->proxy_error,
        .retry_after_s = row->retry_after ? RETRY_AFTER_S : 0,
        .head_only = refusal->head_only,
        .now_unix_s = (int64_t)(clock_unix_ms() / 1000),
        .template = refusal->template,
        .request_id = refusal->request_id,
    };
}

size_t gw_refuse_page_max(const struct gw_refusal *refusal)
{
    struct http_page page = page_of(refusal);

    return http_page_max(&page);
}

size_t gw_refuse_page(char *out, size_t cap, const struct gw_refusal *refusal)
{
    struct http_page page = page_of(refusal);

    return rows[refusal->reason].status == 0 ? 0 : http_page_print(out, cap, &page);
}

void gw_refuse_alert(uint8_t out[GW_ALERT_RECORD_LEN], uint8_t description)
{
    /* alert record, TLS 1.2 on the wire as RFC 8446 section 5.1 wants, two bytes, fatal */
    const uint8_t record[GW_ALERT_RECORD_LEN] = {21, 3, 3, 0, 2, 2, description};

    for (size_t i = 0; i < GW_ALERT_RECORD_LEN; i++)
        out[i] = record[i];
}
