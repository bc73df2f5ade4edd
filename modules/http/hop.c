/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields end here; see hop.h. */
#include "modules/http/hop.h"

#include <strings.h>

/* The elements of one Connection field. */
static void add_names(struct http_hop *self, const char *data, struct http_span list)
{
    while (list.len > 0) {
        struct http_span name = http_span_cut(&list, data);

        if (name.len > 0 && self->named < HTTP_CONNECTION_OPTIONS_MAX)
            self->names[self->named++] = name;
    }
}

static void find_names(struct http_hop *self, const char *data)
{
    struct http_field field;

    while (http_fields_next(&self->fields, data, &field)) {
        if (http_span_is_nocase(field.name, data, "connection"))
            add_names(self, data, field.value);
    }
    http_hop_restart(self);
}

void http_hop_start(struct http_hop *self, const struct http_framing *framing, const char *data,
                    size_t head_len)
{
    http_fields_start(&self->start, data, head_len);
    self->named = 0;
    http_hop_restart(self);
    if (framing->nominates)
        find_names(self, data);
}

void http_hop_restart(struct http_hop *self)
{
    self->fields = self->start;
}

static bool is_named(const struct http_hop *self, const char *data, struct http_span name)
{
    for (unsigned i = 0; i < self->named; i++) {
        if (name.len == self->names[i].len &&
            strncasecmp(data + name.at, data + self->names[i].at, name.len) == 0)
            return true;
    }
    return false;
}

bool http_hop_next(struct http_hop *self, const char *data, struct http_field *out,
                   enum http_role *role)
{
    while (http_fields_next(&self->fields, data, out)) {
        *role = http_role_of(data + out->name.at, out->name.len);
        if (!http_role_ends_here(*role) && !is_named(self, data, out->name))
            return true;
    }
    return false;
}
