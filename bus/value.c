/* SPDX-License-Identifier: Apache-2.0 */
/* Reading reply trees, and the table of error classes. Making them is bus/reply. */
#include "bus/value.h"

#include <string.h>

#include "bus/base/err.h"

/* Error replies by their first word. What is not here is STOP. */
static const struct {
    const char *word;
    enum bus_error_class class;
} classes[] = {
    {"BUSYGROUP", BUS_ERROR_NONE},
    {"LOADING", BUS_ERROR_RETRY},
    {"BUSY", BUS_ERROR_RETRY},
    {"MISCONF", BUS_ERROR_RETRY},
    {"OOM", BUS_ERROR_RETRY},
    {"MASTERDOWN", BUS_ERROR_RETRY},
    {"NOREPLICAS", BUS_ERROR_RETRY},
    {"CLUSTERDOWN", BUS_ERROR_RETRY},
    {"TRYAGAIN", BUS_ERROR_RETRY},
    {"EXECABORT", BUS_ERROR_RETRY},
    {"READONLY", BUS_ERROR_REDISCOVER},
    {"UNBLOCKED", BUS_ERROR_REDISCOVER},
    {"NOGROUP", BUS_ERROR_RECREATE},
    {"NOAUTH", BUS_ERROR_STOP},
    {"WRONGPASS", BUS_ERROR_STOP},
    {"NOPERM", BUS_ERROR_STOP},
    {"WRONGTYPE", BUS_ERROR_STOP},
    {"MOVED", BUS_ERROR_STOP},
    {"ASK", BUS_ERROR_STOP},
};

enum bus_error_class bus_error_class(const struct bus_value *reply)
{
    size_t word;

    if (reply == NULL || reply->type != BUS_ERROR)
        return BUS_ERROR_NONE;
    word = strcspn(reply->text, " ");
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strlen(classes[i].word) == word && memcmp(classes[i].word, reply->text, word) == 0)
            return classes[i].class;
    }
    return BUS_ERROR_STOP;
}

const char *bus_error_class_name(enum bus_error_class c)
{
    static const char *const names[] = {"none", "retry", "rediscover", "recreate", "stop"};

    return names[c];
}

bool bus_error_is_passing(int rc, const struct bus_value *reply)
{
    enum bus_error_class class = bus_error_class(reply);

    if (rc != ERR_REFUSED)
        return rc != ERR_OK;
    return class == BUS_ERROR_RETRY || class == BUS_ERROR_REDISCOVER;
}

bool bus_value_is(const struct bus_value *value, const char *text)
{
    if (value == NULL || (value->type != BUS_TEXT && value->type != BUS_STATUS))
        return false;
    return value->len == strlen(text) && memcmp(value->text, text, value->len) == 0;
}

const struct bus_value *bus_value_field(const struct bus_value *pairs, const char *name)
{
    if (pairs == NULL || pairs->type != BUS_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < pairs->count; i += 2) {
        if (bus_value_is(&pairs->items[i], name))
            return &pairs->items[i + 1];
    }
    return NULL;
}
