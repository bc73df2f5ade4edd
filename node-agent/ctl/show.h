/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments for people: what became of each workload, where it can be reached, what is wrong. */
#ifndef NODE_AGENT_CTL_SHOW_H
#define NODE_AGENT_CTL_SHOW_H

#include <jansson.h>

#include "node-agent/ctl/ctl.h"

/* A deployment with results: a line a workload, then warnings and messages. */
void ctl_show_deployment(const json_t *deployment);
/* The answer of zos.deployment.list. */
void ctl_show_deployments(const json_t *list);
/* The answer of zos.deployment.changes. */
void ctl_show_changes(const json_t *list);
/* CTL_OK when every workload is in place (or, asked for, gone), else CTL_PENDING. */
enum ctl_exit ctl_deployment_exit(const json_t *deployment);

#endif
