/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people on stderr, and errors as objects on stdout for machines. */
#ifndef NODE_AGENT_CTL_SAY_H
#define NODE_AGENT_CTL_SAY_H

#include <jansson.h>

#include "node-agent/ctl/ctl.h"
#include "schemas/report.h"

/* "netwall: ..." on stderr; control characters of strangers are replaced. */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The last message again, as an error object on stdout: for a command that ended before it had one.
 */
void ctl_print_said(void);
/* What to do about an error code; NULL = nothing to say. */
const char *ctl_hint(const char *code);
/* "netwall: WHERE: code: message (path)" and the next step, from an error object. */
void ctl_say_error(const char *where, const json_t *error);
/* A local refusal about FILE: said, printed with --json; returns CTL_REFUSED (CTL_FAILED without
 * memory). */
enum ctl_exit ctl_refuse(const struct ctl *ctl, const char *file, const struct sch_report *report);
/* {"code","message","path"}: a new reference. */
json_t *ctl_error(const char *code, const char *message, const char *path);

#endif
