/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message of the Reliable Message Bus as rmb-peer hands it to a service, and the reply to it
 * (ZOS.md 7.2): JSON around base64. Text in, text out; nothing is sent or run here.
 */
#ifndef NODE_AGENT_RMB_MESSAGE_H
#define NODE_AGENT_RMB_MESSAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"
#include "schemas/report.h"

#define AGENT_RMB_REF_MAX 128     /* bytes of a reference; rmb-peer sends a UUID */
#define AGENT_RMB_SOURCE_MAX 128  /* bytes of "twin[:connection]" */
#define AGENT_RMB_COMMAND_MAX 128 /* bytes of a command */

struct agent_rmb_message {
    char ref[AGENT_RMB_REF_MAX + 1];         /* "" = none */
    char source[AGENT_RMB_SOURCE_MAX + 1];   /* whom the reply goes to */
    char command[AGENT_RMB_COMMAND_MAX + 1]; /* "zos.deployment.get" */
    char reply_to[BUS_KEY_CAP];              /* list; any name: not judged here */
    uint32_t twin;                           /* the twin of SOURCE, which rmb-peer verified */
    uint64_t deadline_s;                     /* unix seconds; 0 = none */
    json_t *data;                            /* owned; an object; {} when nothing was sent */
};

/*
 * Read LEN bytes. Returns 0: release OUT with _deinit. Else ERR_INVALID or ERR_NOMEM with REPORT,
 * and nothing needs to be released; with a REPLY_TO and a SOURCE in OUT the sender can be told,
 * otherwise they are "". Fields we don't know are left alone: the format is not ours.
 */
int agent_rmb_message_read(struct agent_rmb_message *out, const char *text, size_t len,
                           struct sch_report *report);
void agent_rmb_message_deinit(struct agent_rmb_message *self);

/* The reply with DATA (borrowed, any value) at time NOW_S: malloc'd text; NULL without memory. */
char *agent_rmb_reply(const struct agent_rmb_message *self, const json_t *data, uint64_t now_s);
/* The reply that says what is wrong. */
char *agent_rmb_reply_error(const struct agent_rmb_message *self, const struct sch_report *report,
                            uint64_t now_s);

#endif
