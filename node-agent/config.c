/* SPDX-License-Identifier: Apache-2.0 */
/* From ini pairs to one struct; every complaint names the line. */
#include "node-agent/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/name.h"
#include "node-agent/bus_server.h"

#define DAY_MS 86400000u

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/* A text value of bounded length into OUT; an empty value stays empty. */
static void take_text(struct ini *ini, int section, const char *key, char *out, size_t cap)
{
    const char *text = NULL;

    ini_get_text(ini, section, key, &text);
    if (text == NULL)
        return;
    if (strlen(text) >= cap) {
        ini_fail(ini, section, key, "is longer than %zu bytes", cap - 1);
        return;
    }
    memcpy(out, text, strlen(text) + 1);
}

static void take_name(struct ini *ini, int section, struct agent_config *out)
{
    take_text(ini, section, "name", out->name, sizeof(out->name));
    if (out->name[0] == '\0' || strspn(out->name, name_letters) != strlen(out->name))
        ini_fail(ini, section, "name", "must be 1-%d letters, digits, '-', '_' or '.'",
                 AGENT_NAME_MAX - 1);
}

static void take_node(struct ini *ini, struct agent_config *out)
{
    int section = ini_find(ini, "node");

    ini_known_section(ini, section);
    take_name(ini, section, out);
    take_text(ini, section, "state-dir", out->state_dir, sizeof(out->state_dir));
    if (out->state_dir[0] != '/' && out->state_dir[0] != '.')
        ini_fail(ini, section, "state-dir", "must be an absolute path");
}

static bool is_url(const char *url)
{
    return strncmp(url, "unix://", 7) == 0 || strncmp(url, "tcp://", 6) == 0;
}

/* The embedded server's socket: a path that is too long shows here, not when the node boots. */
static void check_socket(struct ini *ini, int section, const struct agent_config *out)
{
    size_t len = strlen(out->bus_socket);
    bool fallback = len == 0 && access("/run", W_OK) != 0 && access("/run/netwall", W_OK) != 0;

    if (fallback)
        len = strlen(out->state_dir) + strlen("/bus.sock");
    if (len > AGENT_BUS_SOCKET_MAX)
        ini_fail(ini, section, "socket", "%s has %zu bytes, a unix socket takes at most %d",
                 fallback ? "<state-dir>/bus.sock" : "this path", len, AGENT_BUS_SOCKET_MAX);
}

static void take_bus(struct ini *ini, struct agent_config *out)
{
    int section = ini_find(ini, "bus");

    ini_known_section(ini, section);
    take_text(ini, section, "url", out->bus_url, sizeof(out->bus_url));
    take_text(ini, section, "socket", out->bus_socket, sizeof(out->bus_socket));
    take_text(ini, section, "prefix", out->bus_prefix, sizeof(out->bus_prefix));
    if (!bus_prefix_check(out->bus_prefix))
        ini_fail(ini, section, "prefix", "must be printable ASCII without blanks");
    out->embedded = out->bus_url[0] == '\0' || strcmp(out->bus_url, "embedded") == 0;
    if (out->embedded) {
        out->bus_url[0] = '\0';
        check_socket(ini, section, out);
    } else if (!is_url(out->bus_url)) {
        ini_fail(ini, section, "url",
                 "must be embedded, unix:///path or tcp://[user:password@]host:port[/db]");
    }
}

static void take_authorities(struct ini *ini, int section, struct agent_config *out)
{
    const char *const *keys = NULL;
    size_t count = 0;
    uint8_t bytes[32];

    ini_get_list(ini, section, "authority", &keys, &count);
    if (count > AGENT_AUTHORITY_MAX) {
        ini_fail(ini, section, "authority", "at most %d keys", AGENT_AUTHORITY_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (hex_decode(bytes, sizeof(bytes), keys[i], strlen(keys[i])) != ERR_OK) {
            ini_fail(ini, section, "authority",
                     "\"%.80s\" is no public key: 64 lower-case hex digits, as netwall pubkey "
                     "prints them",
                     keys[i]);
            return;
        }
        memcpy(out->authorities[i], keys[i], AGENT_KEY_CAP);
    }
    out->authority_count = count;
}

static void take_trust(struct ini *ini, struct agent_config *out)
{
    int section = ini_find(ini, "trust");

    ini_known_section(ini, section);
    take_authorities(ini, section, out);
    ini_get_bool(ini, section, "zos-signatures", &out->zos_signatures);
    ini_get_ms(ini, section, "name-quarantine", &out->name_quarantine_ms);
}

static void take_switches(struct ini *ini, struct agent_config *out)
{
    static const char *const words[] = {"auto", "yes", "no"};
    int section = ini_find(ini, "zbus");
    char word[8] = "auto";
    size_t mode = 0;

    ini_known_section(ini, section);
    take_text(ini, section, "serve", word, sizeof(word));
    while (mode < 3 && strcmp(word, words[mode]) != 0)
        mode++;
    if (mode == 3)
        ini_fail(ini, section, "serve", "must be auto, yes or no");
    else
        out->zbus = (enum agent_zbus_mode)mode;

    section = ini_find(ini, "rmb");
    ini_known_section(ini, section);
    ini_get_bool(ini, section, "serve", &out->rmb);
}

static bool module_known(const struct agent_config *out, const char *name)
{
    for (size_t i = 0; i < out->module_count; i++) {
        if (strcmp(out->modules[i].name, name) == 0)
            return true;
    }
    return false;
}

static void take_module(struct ini *ini, int section, const char *name, struct agent_config *out)
{
    struct agent_module_config *module = &out->modules[out->module_count];

    ini_known_section(ini, section);
    if (!bus_module_check(name) || strlen(name) >= sizeof(module->name))
        ini_fail(ini, section, NULL, "a module needs a name of a-z, 0-9, '-': [module gateway]");
    else if (module_known(out, name))
        ini_fail(ini, section, NULL, "module %s stands here twice", name);
    else if (out->module_count == AGENT_MODULE_MAX - 1)
        ini_fail(ini, section, NULL, "at most %d modules", AGENT_MODULE_MAX - 1);
    else {
        memcpy(module->name, name, strlen(name) + 1);
        out->module_count++;
    }
    take_text(ini, section, "exec", module->exec, sizeof(module->exec));
    take_text(ini, section, "config", module->config, sizeof(module->config));
    if (module->exec[0] == '\0')
        ini_fail(ini, section, "exec", "is missing: which program to start");
}

static void take_modules(struct ini *ini, struct agent_config *out)
{
    for (size_t i = 0; i < ini_section_count(ini); i++) {
        const struct ini_section *section = ini_section_at(ini, i);

        if (strcmp(section->kind, "module") == 0)
            take_module(ini, (int)i, section->name, out);
    }
}

void agent_config_default(struct agent_config *out)
{
    *out = (struct agent_config){
        .embedded = true, .name_quarantine_ms = 7ull * DAY_MS, .zbus_workers = 1};
    snprintf(out->state_dir, sizeof(out->state_dir), "/var/lib/netwall");
    if (gethostname(out->name, sizeof(out->name) - 1) != 0)
        snprintf(out->name, sizeof(out->name), "localhost");
}

static int take_all(struct agent_config *out, struct ini *ini, char why[INI_WHY_MAX])
{
    int rc;

    agent_config_default(out);
    take_node(ini, out);
    take_bus(ini, out);
    take_trust(ini, out);
    take_switches(ini, out);
    take_modules(ini, out);
    rc = ini_finish(ini, why);
    ini_free(ini);
    return rc;
}

int agent_config_parse(struct agent_config *out, const char *file, const char *text, size_t len,
                       char why[INI_WHY_MAX])
{
    struct ini *ini = NULL;
    int rc = ini_parse(&ini, file, text, len, why);

    return rc == ERR_OK ? take_all(out, ini, why) : rc;
}

int agent_config_load(struct agent_config *out, const char *path, char why[INI_WHY_MAX])
{
    struct ini *ini = NULL;
    int rc = ini_load(&ini, path, why);

    return rc == ERR_OK ? take_all(out, ini, why) : rc;
}

bool agent_config_is_authority(const struct agent_config *self, const char *key_hex)
{
    for (size_t i = 0; i < self->authority_count; i++) {
        if (strcmp(self->authorities[i], key_hex) == 0)
            return true;
    }
    return false;
}
