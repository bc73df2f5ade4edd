/* SPDX-License-Identifier: Apache-2.0 */
/* Walk over the fields of a sound head; see field.h. */
#include "modules/http/field.h"

#include <assert.h>
#include <string.h>

/* Where BYTE stands in DATA[AT, END); a sound head has it there. */
static size_t find(const char *data, size_t at, size_t end, char byte)
{
    const char *p = memchr(data + at, byte, end - at);

    assert(p != NULL);
    return (size_t)(p - data);
}

void http_fields_start(struct http_fields *self, const char *data, size_t head_len)
{
    size_t line = data[0] == '\r' ? 2 : 0;

    self->end = head_len - 2; /* at the empty line */
    self->at = find(data, line, head_len, '\n') + 1;
}

bool http_fields_next(struct http_fields *self, const char *data, struct http_field *out)
{
    size_t colon, lf;

    if (self->at >= self->end)
        return false;
    colon = find(data, self->at, self->end, ':');
    lf = find(data, colon + 1, self->end, '\n');
    out->name = (struct http_span){self->at, colon - self->at};
    out->value = http_span_trim((struct http_span){colon + 1, lf - 1 - (colon + 1)}, data);
    self->at = lf + 1;
    return true;
}
