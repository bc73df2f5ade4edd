/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the gateway's own answers to a visitor: a page, an alert. It sends nothing. */
#ifndef MODULES_GATEWAY_ANSWER_H
#define MODULES_GATEWAY_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/refuse.h"
#include "modules/http/page.h"

/* Each returns malloc'd bytes, *LEN of them; NULL = nothing to say, or out of memory: close. */

/* HTTP: the page for REFUSAL (INTERFACE section 8), behind the rest of an interim answer. */
char *gw_answer_page(const struct gw_refusal *refusal, size_t *len);
/* HTTP: PAGE, which turns nobody away (200, 308), as of now. */
char *gw_answer_notice(const struct http_page *page, size_t *len);
/* TLS: the alert for REASON; ALERT instead, when it is not 0. */
char *gw_answer_alert(enum gw_reason reason, uint8_t alert, size_t *len);

#endif
