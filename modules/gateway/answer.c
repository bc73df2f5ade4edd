/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, alerts and redirects as bytes; see answer.h. */
#include "modules/gateway/answer.h"

#include <stdlib.h>

#include "bus/base/clock.h"
#include "modules/http/page.h"

static char *make_page(const struct gw_refusal *refusal, size_t *len)
{
    size_t cap = gw_refuse_page_max(refusal);
    char *out = malloc(cap);

    if (out != NULL)
        *len = gw_refuse_page(out, cap, refusal);
    return out;
}

static char *make_alert(uint8_t description, size_t *len)
{
    uint8_t *out = malloc(GW_ALERT_RECORD_LEN);

    if (out == NULL)
        return NULL;
    gw_refuse_alert(out, description);
    *len = GW_ALERT_RECORD_LEN;
    return (char *)out;
}

char *gw_answer_refusal(enum gw_port_kind port, const struct gw_peek *peek, enum gw_reason reason,
                        size_t *len)
{
    bool own = reason == peek->reason; /* the reader knows better which status or alert */
    struct gw_refusal refusal = {
        .reason = reason, .status = own ? peek->status : 0, .head_only = gw_peek_is_head(peek)};
    uint8_t alert = own && peek->alert != 0 ? peek->alert : gw_reason_alert(reason);

    *len = 0;
    if (port == GW_PORT_HTTP && gw_reason_status(reason) != 0)
        return make_page(&refusal, len);
    if (port == GW_PORT_TLS && alert != 0)
        return make_alert(alert, len);
    return NULL;
}

char *gw_answer_redirect(const struct gw_peek *peek, uint16_t port, size_t *len)
{
    struct http_page page = {
        .status = 308,
        .head_only = gw_peek_is_head(peek),
        .now_unix_s = (int64_t)(clock_unix_ms() / 1000),
        .host = peek->host,
        .port = port,
        .path = (const char *)peek->data + peek->head.path.at,
        .path_len = peek->head.path.len,
    };
    size_t cap = HTTP_PAGE_MAX + page.path_len;
    char *out = malloc(cap);

    if (out != NULL)
        *len = http_page_print(out, cap, &page);
    return out;
}
