/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the connector is told: connector.conf, flags, and environment (INTERFACE section 7), as one
 * plain struct that is checked once and then const. It reads no key file and looks up no name.
 */
#ifndef MODULES_CONNECTOR_CONFIG_H
#define MODULES_CONNECTOR_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/ini.h"
#include "modules/connector/target.h"
#include "modules/tunnel/key.h"

#define CON_GATEWAYS_MAX 32
#define CON_ADDRESSES_MAX 8 /* per gateway */
#define CON_KEYS_MAX 4      /* per gateway: more than one only while its key is being changed */
#define CON_SERVICES_MAX 128
#define CON_FILTER_MAX 8   /* gateways that one service names */
#define CON_NAME_CAP 65    /* name of a gateway section with its NUL */
#define CON_SERVICE_CAP 33 /* name of a service with its NUL */
#define CON_PATH_CAP 1024  /* path with its NUL */
#define CON_LABEL_CAP 65   /* the connector's own name with its NUL */
#define CON_LINKS_MAX 8
#define CON_THREADS_MAX 8
#define CON_DRAIN_MAX_MS (24u * 3600u * 1000u)
#define CON_RESUME_MIN_MS 1000u
#define CON_RESUME_MAX_MS (10u * 60u * 1000u)
#define CON_WHY_CAP INI_WHY_MAX

struct con_gateway {
    char name[CON_NAME_CAP]; /* of its section; "host:port" for flags */
    struct con_target addresses[CON_ADDRESSES_MAX];
    size_t address_count;
    struct tun_public_key keys[CON_KEYS_MAX];
    size_t key_count;
};

struct con_service {
    char name[CON_SERVICE_CAP];
    struct con_target target;
    struct con_target tls_target; /* used when the visitor spoke TLS; none: target */
    char gateways[CON_FILTER_MAX][CON_NAME_CAP];
    size_t gateway_count; /* 0 = streams of every gateway */
};

struct con_config {
    char key_path[CON_PATH_CAP]; /* "" = NETWALL_KEY, or missing */
    char name[CON_LABEL_CAP];
    uint64_t twin;             /* 0 = none said */
    uint64_t links;            /* TCP connections per gateway and thread */
    uint64_t threads;          /* that carry bytes, each with tunnels of its own */
    uint64_t drain_timeout_ms; /* visitors may finish so long after SIGTERM */
    uint64_t resume_window_ms; /* streams wait so long for a new link */
    struct con_gateway gateways[CON_GATEWAYS_MAX];
    size_t gateway_count;
    struct con_service services[CON_SERVICES_MAX];
    size_t service_count;
};

/* The defaults; the caller frees it with free(). NULL when out of memory. */
struct con_config *con_config_new(void);

/*
 * Read PATH over the defaults; a relative key path counts from the file's folder. Returns 0,
 * ERR_SYS or ERR_INVALID with WHY = "file:line: what is wrong".
 */
int con_config_load(struct con_config *self, const char *path, char why[CON_WHY_CAP]);
/* The same for LEN bytes of text; FILE is the name used in messages. */
int con_config_parse(struct con_config *self, const char *file, const char *text, size_t len,
                     char why[CON_WHY_CAP]);
/* "host:port#HEX"; the same address again adds a key to it. Returns 0 or ERR_INVALID with WHY. */
int con_config_add_gateway(struct con_config *self, const char *item, char why[CON_WHY_CAP]);
/* "name=target[,tls=target]". Returns 0 or ERR_INVALID with WHY. */
int con_config_add_service(struct con_config *self, const char *item, char why[CON_WHY_CAP]);
/* Path of the key file; the name shown to the farmer; the twin, in decimal. 0 or ERR_INVALID. */
int con_config_set_key(struct con_config *self, const char *path, char why[CON_WHY_CAP]);
int con_config_set_name(struct con_config *self, const char *name, char why[CON_WHY_CAP]);
int con_config_set_twin(struct con_config *self, const char *text, char why[CON_WHY_CAP]);
/*
 * NETWALL_KEY_FILE, NETWALL_GATEWAYS, NETWALL_SERVICES, NETWALL_TWIN, each only for
 * what was not given otherwise. Returns 0 or ERR_INVALID with WHY.
 */
int con_config_environment(struct con_config *self, char why[CON_WHY_CAP]);
/* Whether there is at least one gateway and one service. Returns 0 or ERR_INVALID with WHY. */
int con_config_check(const struct con_config *self, char why[CON_WHY_CAP]);

/* NULL = no such service. */
const struct con_service *con_config_service(const struct con_config *self, const char *name);
bool con_gateway_has_key(const struct con_gateway *gateway, const struct tun_public_key *key);
/* Whether SERVICE may be reached through the gateway of this name. */
bool con_service_allows(const struct con_service *service, const char *gateway);

#endif
