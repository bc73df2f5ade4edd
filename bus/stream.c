/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to streams; reading them is in reader.c. */
#include "bus/stream.h"

#include <stdio.h>

#include "bus/base/err.h"

#define ARGS_MAX (6 + 2 * BUS_STREAM_FIELDS_MAX)

int bus_stream_add(struct bus_link *link, const struct bus_stream_add *add)
{
    struct bus_arg args[ARGS_MAX];
    char maxlen[24];
    size_t n = 0;

    if (add->count == 0 || add->count > BUS_STREAM_FIELDS_MAX)
        return ERR_INVALID;
    args[n++] = bus_text("XADD");
    args[n++] = bus_text(add->key);
    if (add->maxlen > 0) {
        snprintf(maxlen, sizeof(maxlen), "%llu", (unsigned long long)add->maxlen);
        args[n++] = bus_text("MAXLEN");
        args[n++] = bus_text("~");
        args[n++] = bus_text(maxlen);
    }
    args[n++] = bus_text("*");
    for (size_t i = 0; i < add->count; i++) {
        args[n++] = bus_text(add->fields[i].name);
        args[n++] = BUS_BYTES(add->fields[i].data, add->fields[i].len);
    }
    return bus_link_send(
        link,
        &(struct bus_query){.args = args, .count = n, .on_reply = add->on_reply, .arg = add->arg});
}

int bus_stream_add_body(struct bus_link *link, const char *key, uint64_t maxlen, const void *body,
                        size_t len)
{
    const struct bus_stream_field field = {.name = "body", .data = body, .len = len};

    return bus_stream_add(
        link, &(struct bus_stream_add){.key = key, .maxlen = maxlen, .fields = &field, .count = 1});
}
