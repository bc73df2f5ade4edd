/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of netwall-connector, and the config that comes of it together with the file and
 * the environment. It reads no key.
 */
#ifndef MODULES_CONNECTOR_OPTIONS_H
#define MODULES_CONNECTOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/base/daemon.h"
#include "modules/connector/config.h"

#define CON_OPTIONS_ITEMS_MAX 256 /* --gateway and --service, each */

/* The texts are argv's. */
struct con_options {
    struct daemon_args args;
    const char *key;
    const char *name;
    const char *twin;
    const char *gateways[CON_OPTIONS_ITEMS_MAX];
    size_t gateway_count;
    const char *services[CON_OPTIONS_ITEMS_MAX];
    size_t service_count;
    bool allow_group; /* the key file may be readable by its group */
    bool check_wall;
};

/* Returns -1 to go on, or the exit status: help, version or a mistake, already printed. */
int con_options_parse(struct con_options *out, int argc, char **argv);
/*
 * The file (read now), the flags over it, and the environment for what neither gives; complete.
 * Returns a config that the caller frees, or NULL with the reason in WHY.
 */
struct con_config *con_options_config(const struct con_options *self, char why[CON_WHY_CAP]);

#endif
