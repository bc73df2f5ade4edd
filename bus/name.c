/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and ids as text. Nothing here talks to a server. */
#include "bus/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/hex.h"

const char *bus_key(char out[BUS_KEY_CAP], const char *prefix, const char *name, const char *part,
                    const char *tail)
{
    int n = snprintf(out, BUS_KEY_CAP, "%s%s%s%s", prefix, name, part != NULL ? part : "",
                     tail != NULL ? tail : "");

    assert(n >= 0 && n < BUS_KEY_CAP);
    return out;
}

const char *bus_key_result(char out[BUS_KEY_CAP], const char *prefix, const char *id)
{
    return bus_key(out, prefix, BUS_KEY_RESULT, id, NULL);
}

const char *bus_key_result_flag(char out[BUS_KEY_CAP], const char *prefix, const char *id)
{
    return bus_key(out, prefix, BUS_KEY_RESULT, id, BUS_KEY_RESULT_FLAG);
}

const char *bus_key_assign(char out[BUS_KEY_CAP], const char *prefix, const char *module)
{
    return bus_key(out, prefix, BUS_KEY_ASSIGN, module, NULL);
}

const char *bus_key_assign_head(char out[BUS_KEY_CAP], const char *prefix, const char *module)
{
    return bus_key(out, prefix, BUS_KEY_ASSIGN, module, BUS_KEY_ASSIGN_HEAD);
}

const char *bus_key_report(char out[BUS_KEY_CAP], const char *prefix, const char *module)
{
    return bus_key(out, prefix, BUS_KEY_REPORT, module, NULL);
}

const char *bus_key_zbus(char out[BUS_KEY_CAP], const char *module, const char *object,
                         const char *version)
{
    bool bare = version == NULL || version[0] == '\0';
    int n = snprintf(out, BUS_KEY_CAP, "%s.%s%s%s", module, object, bare ? "" : "@",
                     bare ? "" : version);

    assert(n >= 0 && n < BUS_KEY_CAP);
    return out;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool bus_id_check(const char *id, size_t len)
{
    if (len == 0 || len > BUS_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = id[i];

        if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool bus_module_check(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > BUS_MODULE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_lower_or_digit(name[i]) && name[i] != '-')
            return false;
    }
    return true;
}

bool bus_prefix_check(const char *prefix)
{
    size_t len = strlen(prefix);

    if (len > BUS_PREFIX_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (prefix[i] <= ' ' || prefix[i] > '~')
            return false;
    }
    return true;
}

static bool starts(const char *key, size_t len, const char *with)
{
    size_t n = strlen(with);

    return len >= n && memcmp(key, with, n) == 0;
}

bool bus_key_is_own(const char *prefix, const char *key, size_t len)
{
    static const char *const ours[] = {"core:", BUS_KEY_RESULT, "stream:", "netwall:"};
    size_t skip = strlen(prefix);

    if (starts(key, len, BUS_KEY_RMB))
        return true;
    if (!starts(key, len, prefix))
        return false;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (starts(key + skip, len - skip, ours[i]))
            return true;
    }
    return false;
}

void bus_id_random(char out[33])
{
    uint8_t raw[16];

    clock_random(raw, sizeof(raw));
    hex_encode(out, raw, sizeof(raw));
}

void bus_uuid_random(char out[37])
{
    static const uint8_t parts[] = {4, 2, 2, 2, 6};
    uint8_t raw[16];
    size_t at = 0;

    clock_random(raw, sizeof(raw));
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80); /* and its variant */
    for (size_t i = 0; i < sizeof(parts); i++) {
        hex_encode(out, raw + at, parts[i]);
        at += parts[i];
        out += 2 * parts[i];
        if (i + 1 < sizeof(parts))
            *out++ = '-';
    }
}
