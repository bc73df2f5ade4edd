/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the gateway's own answers to a visitor whose first bytes were peeked at: a page, an
 * alert, a redirect. It sends nothing.
 */
#ifndef MODULES_GATEWAY_ANSWER_H
#define MODULES_GATEWAY_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/peek.h"
#include "modules/gateway/refuse.h"

/*
 * What a visitor of PORT is told for REASON (INTERFACE section 8), malloc'd, of *LEN bytes; NULL =
 * nothing, close. PEEK's own status or alert counts when the reason is PEEK's.
 */
char *gw_answer_refusal(enum gw_port_kind port, const struct gw_peek *peek, enum gw_reason reason,
                        size_t *len);
/* 308 to the host and target of PEEK under https, PORT 0 or 443 = not written. Malloc'd; NULL when
 * out of memory. */
char *gw_answer_redirect(const struct gw_peek *peek, uint16_t port, size_t *len);

#endif
