/* SPDX-License-Identifier: Apache-2.0 */
/* connector.conf and the environment; see config.h. The items of flags are in config_item.c. */
#include "modules/connector/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/connector/config_item.h"

struct con_config *con_config_new(void)
{
    struct con_config *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->links = 2;
    self->threads = 1;
    self->drain_timeout_ms = 30000;
    self->resume_window_ms = 10000;
    if (gethostname(self->name, sizeof(self->name)) != 0)
        (void)snprintf(self->name, sizeof(self->name), "connector");
    self->name[sizeof(self->name) - 1] = '\0';
    return self;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Copy the text of KEY to OUT; a longer or empty one is an error. */
static void take_text(struct ini *ini, int section, const char *key, char *out, size_t cap)
{
    const char *text = NULL;

    ini_get_text(ini, section, key, &text);
    if (text == NULL)
        return;
    if (*text == '\0' || strlen(text) >= cap)
        ini_fail(ini, section, key, "must be 1 to %zu bytes", cap - 1);
    else
        (void)snprintf(out, cap, "%s", text);
}

struct range {
    uint64_t min, max;
};

static const struct range drain_range = {0, CON_DRAIN_MAX_MS};
static const struct range resume_range = {CON_RESUME_MIN_MS, CON_RESUME_MAX_MS};

static void take_ms(struct ini *ini, const char *key, const struct range *range, uint64_t *out)
{
    int section = ini_find(ini, "connector");

    ini_get_ms(ini, section, key, out);
    if (*out < range->min || *out > range->max)
        ini_fail(ini, section, key, "must be %llums to %llus", (unsigned long long)range->min,
                 (unsigned long long)range->max / 1000);
}

static void take_connector(struct con_config *self, struct ini *ini)
{
    int section = ini_find(ini, "connector");

    take_text(ini, section, "key", self->key_path, sizeof(self->key_path));
    take_text(ini, section, "name", self->name, sizeof(self->name));
    ini_get_u64(ini, section, "links", 1, CON_LINKS_MAX, &self->links);
    ini_get_u64(ini, section, "threads", 1, CON_THREADS_MAX, &self->threads);
    take_ms(ini, "drain-timeout", &drain_range, &self->drain_timeout_ms);
    take_ms(ini, "resume-window", &resume_range, &self->resume_window_ms);
    ini_get_u64(ini, section, "twin", 1, UINT32_MAX, &self->twin);
}

/* The one target of KEY, or nothing. */
static void take_target(struct ini *ini, int section, const char *key, struct con_target *out)
{
    const char *text = NULL;

    ini_get_text(ini, section, key, &text);
    if (text != NULL && con_target_parse(out, text) != ERR_OK)
        ini_fail(ini, section, key, "\"%s\" is not host:port, [v6]:port or unix:/path", text);
}

static void take_addresses(struct con_gateway *gw, struct ini *ini, int section)
{
    const char *const *items;
    size_t count;

    (void)ini_get_list(ini, section, "address", &items, &count);
    if (count == 0)
        ini_fail(ini, section, NULL, "[gateway %s] needs address = host:port", gw->name);
    if (count > CON_ADDRESSES_MAX)
        ini_fail(ini, section, "address", "more than %d addresses", CON_ADDRESSES_MAX);
    for (size_t i = 0; i < count && i < CON_ADDRESSES_MAX; i++) {
        if (con_target_parse(&gw->addresses[i], items[i]) != ERR_OK)
            ini_fail(ini, section, "address", "\"%s\" is not host:port or [v6]:port", items[i]);
        gw->address_count++;
    }
}

static void take_keys(struct con_gateway *gw, struct ini *ini, int section)
{
    const char *const *items;
    size_t count;

    (void)ini_get_list(ini, section, "public-key", &items, &count);
    if (count == 0)
        ini_fail(ini, section, NULL, "[gateway %s] needs public-key = 64 hex digits", gw->name);
    if (count > CON_KEYS_MAX)
        ini_fail(ini, section, "public-key", "more than %d keys", CON_KEYS_MAX);
    for (size_t i = 0; i < count && i < CON_KEYS_MAX; i++) {
        if (tun_key_parse(&gw->keys[i], items[i], strlen(items[i])) != ERR_OK)
            ini_fail(ini, section, "public-key", "\"%s\" is not an x25519 public key in hex",
                     items[i]);
        gw->key_count++;
    }
}

static void take_gateway(struct con_config *self, struct ini *ini, int section, const char *name)
{
    struct con_gateway *gw;

    ini_known_section(ini, section);
    if (*name == '\0' || strlen(name) >= CON_NAME_CAP) {
        ini_fail(ini, section, NULL, "write [gateway NAME], NAME of 1 to %d bytes",
                 CON_NAME_CAP - 1);
        return;
    }
    if (con_config_gateway(self, name) != NULL) {
        ini_fail(ini, section, NULL, "a second [gateway %s]", name);
        return;
    }
    if (self->gateway_count == CON_GATEWAYS_MAX) {
        ini_fail(ini, section, NULL, "more than %d gateways", CON_GATEWAYS_MAX);
        return;
    }
    gw = &self->gateways[self->gateway_count++];
    (void)snprintf(gw->name, sizeof(gw->name), "%s", name);
    take_addresses(gw, ini, section);
    take_keys(gw, ini, section);
}

static void take_filter(struct con_service *service, struct ini *ini, int section)
{
    const char *const *items;
    size_t count;
    bool given = ini_get_list(ini, section, "gateways", &items, &count);

    if (given && count == 0) /* would silently mean "all" */
        ini_fail(ini, section, "gateways", "is empty; leave it out for all gateways");
    if (count > CON_FILTER_MAX)
        ini_fail(ini, section, "gateways", "more than %d gateways", CON_FILTER_MAX);
    for (size_t i = 0; i < count && i < CON_FILTER_MAX; i++) {
        if (strlen(items[i]) >= CON_NAME_CAP)
            ini_fail(ini, section, "gateways", "\"%s\" is too long", items[i]);
        (void)snprintf(service->gateways[i], CON_NAME_CAP, "%.*s", CON_NAME_CAP - 1, items[i]);
        service->gateway_count++;
    }
}

static void take_service(struct con_config *self, struct ini *ini, int section, const char *name)
{
    struct con_service *service;
    char why[CON_WHY_CAP];

    ini_known_section(ini, section);
    if (con_config_new_service(self, name, &service, why) != ERR_OK) {
        ini_fail(ini, section, NULL, "%s", why);
        return;
    }
    take_target(ini, section, "target", &service->target);
    take_target(ini, section, "tls-target", &service->tls_target);
    take_filter(service, ini, section);
    if (!con_target_given(&service->target))
        ini_fail(ini, section, NULL, "[service %s] needs target = host:port", name);
}

/* A filter that names no gateway of this file would shut a service off without a word. */
static void check_filters(const struct con_config *self, struct ini *ini)
{
    for (size_t i = 0; i < ini_section_count(ini); i++) {
        const struct ini_section *at = ini_section_at(ini, i);
        const struct con_service *s =
            strcmp(at->kind, "service") == 0 ? con_config_service(self, at->name) : NULL;

        for (size_t j = 0; s != NULL && j < s->gateway_count; j++)
            if (con_config_gateway(self, s->gateways[j]) == NULL)
                ini_fail(ini, (int)i, "gateways", "there is no [gateway %s]", s->gateways[j]);
    }
}

/* Paths in the file count from the file's folder. */
static int place_key(struct con_config *self, const char *file, char why[CON_WHY_CAP])
{
    const char *slash = strrchr(file, '/');
    char path[2 * CON_PATH_CAP];
    int len;

    if (self->key_path[0] == '\0' || self->key_path[0] == '/' || slash == NULL)
        return ERR_OK;
    len = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - file), file, self->key_path);
    if (len < 0 || len >= CON_PATH_CAP) {
        (void)snprintf(why, CON_WHY_CAP, "%s: the path of the key is too long", file);
        return ERR_INVALID;
    }
    memcpy(self->key_path, path, (size_t)len + 1);
    return ERR_OK;
}

static int take_file(struct con_config *self, struct ini *ini, const char *file,
                     char why[CON_WHY_CAP])
{
    int rc;

    take_connector(self, ini);
    for (size_t i = 0; i < ini_section_count(ini); i++) {
        const struct ini_section *at = ini_section_at(ini, i);

        if (strcmp(at->kind, "gateway") == 0)
            take_gateway(self, ini, (int)i, at->name);
        else if (strcmp(at->kind, "service") == 0)
            take_service(self, ini, (int)i, at->name);
    }
    check_filters(self, ini);
    rc = ini_finish(ini, why);
    return rc == ERR_OK ? place_key(self, file, why) : rc;
}

int con_config_parse(struct con_config *self, const char *file, const char *text, size_t len,
                     char why[CON_WHY_CAP])
{
    struct ini *ini;
    int rc = ini_parse(&ini, file, text, len, why);

    if (rc != ERR_OK)
        return rc;
    rc = take_file(self, ini, file, why);
    ini_free(ini);
    return rc;
}

int con_config_load(struct con_config *self, const char *path, char why[CON_WHY_CAP])
{
    struct ini *ini;
    int rc = ini_load(&ini, path, why);

    if (rc != ERR_OK)
        return rc;
    rc = take_file(self, ini, path, why);
    ini_free(ini);
    return rc;
}

/* ---- the environment ----------------------------------------------------------------------- */

/* Give each item of the variable NAME to ADD. */
static int each_item(struct con_config *self, const char *name,
                     int (*add)(struct con_config *, const char *, char *), char why[CON_WHY_CAP])
{
    const char *at = getenv(name);
    char item[INI_LINE_MAX], inner[CON_WHY_CAP];

    while (at != NULL && *(at += strspn(at, " \t\n")) != '\0') {
        size_t len = strcspn(at, " \t\n");

        if (len >= sizeof(item)) {
            (void)snprintf(why, CON_WHY_CAP, "%s: an item is too long", name);
            return ERR_INVALID;
        }
        memcpy(item, at, len);
        item[len] = '\0';
        at += len;
        if (add(self, item, inner) != ERR_OK) {
            (void)snprintf(why, CON_WHY_CAP, "%s: %.400s", name, inner);
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static int take_variable(const char *name, char *out, size_t cap, char why[CON_WHY_CAP])
{
    const char *text = getenv(name);

    if (text == NULL || *text == '\0')
        return ERR_OK;
    if (strlen(text) >= cap) {
        (void)snprintf(why, CON_WHY_CAP, "%s is longer than %zu bytes", name, cap - 1);
        return ERR_INVALID;
    }
    (void)snprintf(out, cap, "%s", text);
    return ERR_OK;
}

int con_config_environment(struct con_config *self, char why[CON_WHY_CAP])
{
    char twin[16] = "";
    int rc = ERR_OK;

    if (self->key_path[0] == '\0')
        rc = take_variable("NETWALL_KEY_FILE", self->key_path, sizeof(self->key_path), why);
    if (rc == ERR_OK && self->gateway_count == 0)
        rc = each_item(self, "NETWALL_GATEWAYS", con_config_add_gateway, why);
    if (rc == ERR_OK && self->service_count == 0)
        rc = each_item(self, "NETWALL_SERVICES", con_config_add_service, why);
    if (rc == ERR_OK && self->twin == 0)
        rc = take_variable("NETWALL_TWIN", twin, sizeof(twin), why);
    if (rc == ERR_OK && twin[0] != '\0')
        rc = con_config_set_twin(self, twin, why);
    return rc;
}

int con_config_check(const struct con_config *self, char why[CON_WHY_CAP])
{
    if (self->gateway_count == 0) {
        (void)snprintf(why, CON_WHY_CAP,
                       "no gateway: give --gateway host:port#PUBLICKEY, or [gateway NAME] in a "
                       "config file");
        return ERR_INVALID;
    }
    if (self->service_count == 0) {
        (void)snprintf(why, CON_WHY_CAP,
                       "no service: give --service web=127.0.0.1:8080, or [service NAME] in a "
                       "config file");
        return ERR_INVALID;
    }
    return ERR_OK;
}

bool con_service_allows(const struct con_service *service, const char *gateway)
{
    for (size_t i = 0; i < service->gateway_count; i++)
        if (strcmp(service->gateways[i], gateway) == 0)
            return true;
    return service->gateway_count == 0;
}

bool con_gateway_has_key(const struct con_gateway *gateway, const struct tun_public_key *key)
{
    for (size_t i = 0; i < gateway->key_count; i++)
        if (tun_key_equal(&gateway->keys[i], key))
            return true;
    return false;
}
