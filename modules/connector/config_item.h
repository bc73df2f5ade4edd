/* SPDX-License-Identifier: Apache-2.0 */
/* Inside modules/connector only: what the file, flags and environment share of the config. */
#ifndef MODULES_CONNECTOR_CONFIG_ITEM_H
#define MODULES_CONNECTOR_CONFIG_ITEM_H

#include "modules/connector/config.h"

/* NULL = no gateway of this name. */
const struct con_gateway *con_config_gateway(const struct con_config *self, const char *name);
/* A new, empty service NAME into *OUT (borrowed). Returns 0 or ERR_INVALID with WHY. */
int con_config_new_service(struct con_config *self, const char *name, struct con_service **out,
                           char why[CON_WHY_CAP]);

#endif
