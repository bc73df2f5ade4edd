/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways and services as one word each: "host:port#HEX", "web=target,tls=target". */
#include "modules/connector/config_item.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

/* Always ERR_INVALID, with the reason in WHY. */
__attribute__((format(printf, 2, 3))) static int fail(char why[CON_WHY_CAP], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(why, CON_WHY_CAP, fmt, args);
    va_end(args);
    return ERR_INVALID;
}

const struct con_gateway *con_config_gateway(const struct con_config *self, const char *name)
{
    for (size_t i = 0; i < self->gateway_count; i++)
        if (strcmp(self->gateways[i].name, name) == 0)
            return &self->gateways[i];
    return NULL;
}

const struct con_service *con_config_service(const struct con_config *self, const char *name)
{
    for (size_t i = 0; i < self->service_count; i++)
        if (strcmp(self->services[i].name, name) == 0)
            return &self->services[i];
    return NULL;
}

/* The gateway at ADDRESS, made when there is none yet; NULL when there are too many. */
static struct con_gateway *gateway_at(struct con_config *self, const struct con_target *address)
{
    struct con_gateway *gw;

    for (size_t i = 0; i < self->gateway_count; i++)
        if (strcmp(self->gateways[i].addresses[0].text, address->text) == 0)
            return &self->gateways[i];
    if (self->gateway_count == CON_GATEWAYS_MAX)
        return NULL;
    gw = &self->gateways[self->gateway_count++];
    (void)snprintf(gw->name, sizeof(gw->name), "%.*s", CON_NAME_CAP - 1, address->text);
    gw->addresses[0] = *address;
    gw->address_count = 1;
    return gw;
}

int con_config_add_gateway(struct con_config *self, const char *item, char why[CON_WHY_CAP])
{
    const char *hash = strrchr(item, '#');
    struct tun_public_key key;
    struct con_target address;
    struct con_gateway *gw;
    char text[CON_TARGET_TEXT];

    if (hash == NULL || (size_t)(hash - item) >= sizeof(text))
        return fail(why, "gateway \"%.100s\" is not host:port#PUBLICKEY", item);
    memcpy(text, item, (size_t)(hash - item));
    text[hash - item] = '\0';
    if (con_target_parse(&address, text) != ERR_OK)
        return fail(why, "gateway \"%.100s\": \"%.100s\" is not host:port", item, text);
    if (tun_key_parse(&key, hash + 1, strlen(hash + 1)) != ERR_OK)
        return fail(why, "gateway \"%.100s\": what follows # is not an x25519 public key in hex",
                    text);
    gw = gateway_at(self, &address);
    if (gw == NULL)
        return fail(why, "more than %d gateways", CON_GATEWAYS_MAX);
    for (size_t i = 0; i < gw->key_count; i++)
        if (tun_key_equal(&gw->keys[i], &key))
            return fail(why, "gateway \"%.100s\" twice with the same key", text);
    if (gw->key_count == CON_KEYS_MAX)
        return fail(why, "gateway \"%.100s\": more than %d keys", text, CON_KEYS_MAX);
    gw->keys[gw->key_count++] = key;
    return ERR_OK;
}

static bool is_service_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len > 0 && len < CON_SERVICE_CAP && name[len] == '\0';
}

int con_config_new_service(struct con_config *self, const char *name, struct con_service **out,
                           char why[CON_WHY_CAP])
{
    struct con_service *service;

    if (!is_service_name(name))
        return fail(why, "service name \"%.100s\" is not 1 to 32 of a-z 0-9 -", name);
    if (con_config_service(self, name) != NULL)
        return fail(why, "a second service \"%s\"", name);
    if (self->service_count == CON_SERVICES_MAX)
        return fail(why, "more than %d services", CON_SERVICES_MAX);
    service = &self->services[self->service_count++];
    (void)snprintf(service->name, sizeof(service->name), "%s", name);
    *out = service;
    return ERR_OK;
}

int con_config_add_service(struct con_config *self, const char *item, char why[CON_WHY_CAP])
{
    const char *equal = strchr(item, '='), *tls = strstr(item, ",tls=");
    char name[CON_SERVICE_CAP + 1], target[CON_TARGET_TEXT + 1];
    struct con_service *service;
    size_t name_len, target_len;

    if (equal == NULL)
        return fail(why, "service \"%.100s\" is not name=target", item);
    name_len = (size_t)(equal - item);
    target_len = tls != NULL ? (size_t)(tls - equal - 1) : strlen(equal + 1);
    if (name_len >= sizeof(name) || target_len >= sizeof(target))
        return fail(why, "service \"%.100s\": name or target is too long", item);
    (void)snprintf(name, sizeof(name), "%.*s", (int)name_len, item);
    (void)snprintf(target, sizeof(target), "%.*s", (int)target_len, equal + 1);
    if (con_config_new_service(self, name, &service, why) != ERR_OK)
        return ERR_INVALID;
    if (con_target_parse(&service->target, target) != ERR_OK)
        return fail(why, "service \"%s\": \"%.100s\" is not host:port, [v6]:port or unix:/path",
                    name, target);
    if (tls != NULL && con_target_parse(&service->tls_target, tls + strlen(",tls=")) != ERR_OK)
        return fail(why, "service \"%s\": \"%.100s\" is not host:port, [v6]:port or unix:/path",
                    name, tls + strlen(",tls="));
    return ERR_OK;
}

static int set_text(char *out, size_t cap, const char *text, char why[CON_WHY_CAP])
{
    size_t len = strlen(text);

    if (len == 0 || len >= cap)
        return fail(why, "\"%.100s\" is not 1 to %zu bytes", text, cap - 1);
    memset(out, 0, cap);
    memcpy(out, text, len);
    return ERR_OK;
}

int con_config_set_key(struct con_config *self, const char *path, char why[CON_WHY_CAP])
{
    return set_text(self->key_path, sizeof(self->key_path), path, why);
}

int con_config_set_name(struct con_config *self, const char *name, char why[CON_WHY_CAP])
{
    return set_text(self->name, sizeof(self->name), name, why);
}

int con_config_set_twin(struct con_config *self, const char *text, char why[CON_WHY_CAP])
{
    char *end;
    unsigned long long twin = strtoull(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end != '\0' || twin > UINT32_MAX)
        return fail(why, "twin \"%.20s\" is not 1 to %u", text, UINT32_MAX);
    self->twin = twin;
    return ERR_OK;
}
