/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zero-OS's structs Deployment and Workload as they travel over zbus (ZOS.md 1.5 (i)): between
 * msgpack with Go's field names and our JSON documents. Pure; judges nothing but types.
 */
#ifndef NODE_AGENT_GRIDTYPE_H
#define NODE_AGENT_GRIDTYPE_H

#include <jansson.h>

#include "schemas/report.h"

struct bus_node;
struct bus_pack;

/*
 * The deployment NODE as a document with every field that Go's struct has, zero ones too, without
 * results; and with our `nodes` when there is a field Nodes. Returns 0 and a new reference;
 * ERR_PROTO when NODE or a field of it has another type than Go's struct; ERR_INVALID with REPORT
 * when the data of a workload is no JSON or a text no UTF-8; ERR_NOMEM.
 */
int agent_gridtype_read(json_t **out, const struct bus_node *node, struct sch_report *report);

/* DOCUMENT, or a workload of one, as Go would write it; what is not there is zero (NULL: all of
 * it). Errors stick in PACK. */
void agent_gridtype_pack_deployment(struct bus_pack *pack, const json_t *document);
void agent_gridtype_pack_workload(struct bus_pack *pack, const json_t *workload);

#endif
