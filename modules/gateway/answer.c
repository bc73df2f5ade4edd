/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, alerts and redirects as bytes; see answer.h. */
#include "modules/gateway/answer.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"

char *gw_answer_page(const struct gw_refusal *refusal, size_t *len)
{
    size_t cap = gw_refuse_page_max(refusal);
    char *out;

    *len = 0;
    if (gw_reason_status(refusal->reason) == 0)
        return NULL;
    out = malloc(refusal->rest_len + cap);
    if (out == NULL)
        return NULL;
    if (refusal->rest_len > 0)
        memcpy(out, refusal->rest, refusal->rest_len);
    *len = refusal->rest_len + gw_refuse_page(out + refusal->rest_len, cap, refusal);
    return out;
}

char *gw_answer_notice(const struct http_page *page, size_t *len)
{
    struct http_page now = *page;
    size_t cap = http_page_max(page);
    char *out = malloc(cap);

    *len = 0;
    now.now_unix_s = (int64_t)(clock_unix_ms() / 1000);
    if (out != NULL)
        *len = http_page_print(out, cap, &now);
    return out;
}

char *gw_answer_alert(enum gw_reason reason, uint8_t alert, size_t *len)
{
    uint8_t *out;

    *len = 0;
    if (alert == 0)
        alert = gw_reason_alert(reason);
    if (alert == 0)
        return NULL;
    out = malloc(GW_ALERT_RECORD_LEN);
    if (out == NULL)
        return NULL;
    gw_refuse_alert(out, alert);
    *len = GW_ALERT_RECORD_LEN;
    return (char *)out;
}
