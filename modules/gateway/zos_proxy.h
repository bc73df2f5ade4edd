/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of Zero-OS's gateway calls: a workload id, and the structs GatewayNameProxy and
 * GatewayFQDNProxy, judged with the texts of Zero-OS. What becomes of them is manager.h's matter.
 */
#ifndef MODULES_GATEWAY_ZOS_PROXY_H
#define MODULES_GATEWAY_ZOS_PROXY_H

#include "modules/gateway/zos_backend.h"

struct bus_node;

enum gw_zos_kind { GW_ZOS_NAME, GW_ZOS_FQDN };

/*
 * The spec of a workload of KIND as the store keeps it, read from the struct NODE. Returns 0 and
 * malloc'd text in *SPEC; ERR_PROTO when NODE or a field of it has another type than Go's struct;
 * ERR_INVALID with WHY when Zero-OS (or we) would refuse it; ERR_NOMEM.
 */
int gw_zos_proxy_read(char **spec, enum gw_zos_kind kind, const struct bus_node *node,
                      char why[GW_ZOS_WHY_MAX]);
/*
 * Whether ID is one that a workload of KIND may have: "<twin>-<contract>-<name>"; for an FQDN, as
 * in Zero-OS, any text of letters, digits, '.', '_' and '-'. Returns 0 or ERR_INVALID with WHY.
 */
int gw_zos_id_check(enum gw_zos_kind kind, const char *id, char why[GW_ZOS_WHY_MAX]);

#endif
