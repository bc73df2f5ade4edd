/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.conf (INTERFACE section 7) as one plain struct: read once, checked with errors that name
 * the line, then const. Opens no socket and makes no folder.
 */
#ifndef NODE_AGENT_CONFIG_H
#define NODE_AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/ini.h"

#define AGENT_NAME_MAX 64      /* node name with its NUL */
#define AGENT_PATH_MAX 1024    /* a path with its NUL */
#define AGENT_URL_MAX 512      /* bus URL with its NUL */
#define AGENT_PREFIX_MAX 65    /* bus prefix with its NUL */
#define AGENT_AUTHORITY_MAX 32 /* authority keys */
#define AGENT_MODULE_MAX 16    /* modules */
#define AGENT_KEY_CAP 65       /* 64 hex digits and a NUL */

/* [module NAME] */
struct agent_module_config {
    char name[AGENT_NAME_MAX];
    char exec[AGENT_PATH_MAX];   /* looked up beside the agent, then in PATH */
    char config[AGENT_PATH_MAX]; /* "" = no --config */
};

/* [zbus] serve, handed to modules as NETWALL_ZBUS. */
enum agent_zbus_mode { AGENT_ZBUS_AUTO, AGENT_ZBUS_YES, AGENT_ZBUS_NO };

struct agent_config {
    char name[AGENT_NAME_MAX];
    char state_dir[AGENT_PATH_MAX];
    bool embedded;                   /* [bus] url = embedded */
    char bus_url[AGENT_URL_MAX];     /* "" when embedded */
    char bus_socket[AGENT_PATH_MAX]; /* embedded only; "" = the default rule */
    char bus_prefix[AGENT_PREFIX_MAX];
    char authorities[AGENT_AUTHORITY_MAX][AGENT_KEY_CAP];
    size_t authority_count;
    bool zos_signatures;
    uint64_t name_quarantine_ms;
    enum agent_zbus_mode zbus;
    unsigned zbus_workers; /* zbus calls at a time, of the agent itself; --workers */
    bool rmb;
    struct agent_module_config modules[AGENT_MODULE_MAX];
    size_t module_count;
};

/* The values of an empty file. */
void agent_config_default(struct agent_config *out);
/*
 * Read PATH into OUT (defaults first). Returns 0, or an error of ini_load / ERR_INVALID with WHY =
 * "file:line: what is wrong"; OUT is then undefined.
 */
int agent_config_load(struct agent_config *out, const char *path, char why[INI_WHY_MAX]);
/* The same from LEN bytes of TEXT; FILE is the name used in messages. */
int agent_config_parse(struct agent_config *out, const char *file, const char *text, size_t len,
                       char why[INI_WHY_MAX]);
bool agent_config_is_authority(const struct agent_config *self, const char *key_hex);

#endif
