/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names on the bus: every key, list, stream and channel of netwall, and the URL of the server. The
 * list with examples and writers is bus/README.md; nothing else in the project spells a key.
 */
#ifndef BUS_NAME_H
#define BUS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

#define BUS_PREFIX_MAX 64    /* bytes of the configured key prefix */
#define BUS_ID_MAX 64        /* bytes of a command id */
#define BUS_MODULE_MAX 64    /* bytes of a module name */
#define BUS_KEY_CAP 320      /* any key we make, with its NUL */
#define BUS_RESULT_TTL_S 300 /* life of result, flag and zbus reply lists */
#define BUS_WHY_MAX 256

/* Lists commands are pushed to (INTERFACE section 5). */
#define BUS_KEY_COMMANDS "core:default"
#define BUS_KEY_COMMANDS_OPERATOR "core:operator"
/* Behind either: commands that were taken and not yet answered. */
#define BUS_KEY_TAKEN ":taken"
/* + command id; the flag list is the same with ":flag" behind. */
#define BUS_KEY_RESULT "result:"
#define BUS_KEY_RESULT_FLAG ":flag"
/* Streams. */
#define BUS_KEY_DEPLOYMENTS "stream:deployments"
#define BUS_KEY_RESULTS "stream:results"
#define BUS_KEY_EVENTS "stream:events"
/* State, always current. */
#define BUS_KEY_WORKLOADS "netwall:workloads"
#define BUS_KEY_TUNNELS "netwall:tunnels"
#define BUS_KEY_USAGE "netwall:usage"
#define BUS_KEY_NODE "netwall:node"
/* Lists of the Reliable Message Bus (+ command), and the one its peer takes replies from. No
 * prefix. */
#define BUS_KEY_RMB "msgbus."
#define BUS_KEY_RMB_REPLY "msgbus.system.reply"
/* Agent to module (+ module name): a hash, and a channel of the same name that wakes. */
#define BUS_KEY_ASSIGN "netwall:assign:"
#define BUS_KEY_ASSIGN_HEAD ":head"
/* Module to agent (+ module name): a stream. */
#define BUS_KEY_REPORT "netwall:report:"

/* Consumer group of the agent on every stream it reads. */
#define BUS_GROUP_AGENT "netwall-agent"

/*
 * PREFIX NAME PART TAIL, one after the other, into OUT; PART and TAIL may be NULL. Returns OUT. The
 * parts are ours or were checked before (prefix, ids and module names have maxima), so a key that
 * does not fit is a bug and asserts.
 */
const char *bus_key(char out[BUS_KEY_CAP], const char *prefix, const char *name, const char *part,
                    const char *tail);
/* result:<id> and result:<id>:flag. ID passed bus_id_check. */
const char *bus_key_result(char out[BUS_KEY_CAP], const char *prefix, const char *id);
const char *bus_key_result_flag(char out[BUS_KEY_CAP], const char *prefix, const char *id);
/* netwall:assign:<module> (hash and wake channel), its head, netwall:report:<module>. */
const char *bus_key_assign(char out[BUS_KEY_CAP], const char *prefix, const char *module);
const char *bus_key_assign_head(char out[BUS_KEY_CAP], const char *prefix, const char *module);
const char *bus_key_report(char out[BUS_KEY_CAP], const char *prefix, const char *module);
/* zbus queue "<module>.<object>@<version>" (no version: "<module>.<object>"); never prefixed. */
const char *bus_key_zbus(char out[BUS_KEY_CAP], const char *module, const char *object,
                         const char *version);

/* 1-64 of [A-Za-z0-9._-]: what a command id may be. */
bool bus_id_check(const char *id, size_t len);
/* 1-64 of [a-z0-9-]: what a module name may be. */
bool bus_module_check(const char *name);
/* At most BUS_PREFIX_MAX printable ASCII bytes without blanks. "" is fine. */
bool bus_prefix_check(const char *prefix);
/*
 * KEY (LEN bytes) is one of ours: core: result: stream: netwall: behind PREFIX, or msgbus. RMB
 * lists. A reply list named by a stranger must never be one.
 */
bool bus_key_is_own(const char *prefix, const char *key, size_t len);

/* A fresh random command id of 32 hex digits (128 bits). */
void bus_id_random(char out[33]);
/* A fresh lower-case UUIDv4, as zbus clients use it. */
void bus_uuid_random(char out[37]);

/* Where the server is and how to sign in. A plain value. Holds a password: never logged. */
struct bus_url {
    bool is_unix;
    char path[108];     /* unix socket */
    char host[256];     /* literal address or host name */
    uint16_t port;      /* host order */
    char user[64];      /* "" = AUTH with the password alone */
    char password[256]; /* "" = no AUTH */
    uint32_t db;        /* SELECT; 0 = none */
};

/*
 * unix:///path, unix://[user:password@]/path, tcp://[user:password@]host[:port][/db], redis:// the
 * same. As in zbus a single word before '@' is the password. %xx is decoded in user and password.
 * Port default 6379. Returns 0, or ERR_INVALID and the reason in WHY (never the password).
 */
int bus_url_parse(struct bus_url *out, const char *text, char why[BUS_WHY_MAX]);
/* For messages: the URL without user and password. */
void bus_url_print(char out[BUS_WHY_MAX], const struct bus_url *url);

#endif
