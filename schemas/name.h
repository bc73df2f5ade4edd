/* SPDX-License-Identifier: Apache-2.0 */
/* Names inside a contract that are not host names: workloads, workload ids, nodes. */
#ifndef SCHEMAS_NAME_H
#define SCHEMAS_NAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SCH_NAME_MAX 36 /* bytes of a workload name (Zero-OS) */
#define SCH_NAME_CAP (SCH_NAME_MAX + 1)
#define SCH_ID_CAP 80             /* "<twin>-<contract>-<name>" with its NUL */
#define SCH_NODE_MAX 253          /* bytes of an entry of `nodes` */
#define SCH_TWIN_MAX 4294967295ll /* 1..this */

/* 1-36 of [A-Za-z0-9_], not "ygg" (reserved by Zero-OS). */
bool sch_workload_name_ok(const char *name);
/* Global id of a workload, as in netwall:workloads. NAME passed the check above. Returns OUT. */
const char *sch_workload_id(char out[SCH_ID_CAP], uint32_t twin, uint64_t contract,
                            const char *name);
/* The inverse; NAME points into ID. Returns 0 or ERR_INVALID. */
int sch_workload_id_split(const char *id, uint32_t *twin, uint64_t *contract, const char **name);
/* An entry of `nodes`: 1-253 of [A-Za-z0-9._-], or "key:" and 64 hex digits. */
bool sch_node_ok(const char *node);
/* A "key:<hex>" entry. */
bool sch_node_is_key(const char *node);
/* The array NODES (may be NULL) holds NAME or key:<KEY_HEX>; either may be NULL. */
bool sch_nodes_hold(const json_t *nodes, const char *name, const char *key_hex);

#endif
