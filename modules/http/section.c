/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of field lines, by runs of bytes; see section.h. */
#include "modules/http/section.h"

#include "modules/http/chars.h"

enum state {
    ST_FIRST, /* first byte of a line */
    ST_NAME,
    ST_VALUE,
    ST_VALUE_LF,
    ST_END_LF,
};

static enum http_section_event bad(struct http_section *self, int refusal, const char *why)
{
    self->refusal = refusal;
    self->why = why;
    return HTTP_SECTION_BAD;
}

/* Returns MORE when the line goes on, as the other steps. */
static enum http_section_event step_first(struct http_section *self, char c, unsigned fields_max)
{
    if (c == '\r') {
        self->at++;
        self->state = ST_END_LF;
        return HTTP_SECTION_MORE;
    }
    if (c == ' ' || c == '\t')
        return bad(self, 400, "folded field line");
    if (!http_char_is(c, HTTP_CHARS_TOKEN))
        return bad(self, 400, "field name is not a token");
    if (++self->fields > fields_max)
        return bad(self, 431, "too many fields");
    self->name.at = self->at;
    self->state = ST_NAME;
    return HTTP_SECTION_MORE;
}

static enum http_section_event step_name(struct http_section *self, const char *data, size_t end)
{
    self->at = http_chars_run(data, self->at, end, HTTP_CHARS_TOKEN);
    if (self->at == end)
        return HTTP_SECTION_MORE;
    if (data[self->at] != ':')
        return bad(self, 400, "field name is not a token");
    self->name.len = self->at - self->name.at;
    self->at++;
    self->value.at = self->at;
    self->state = ST_VALUE;
    return HTTP_SECTION_MORE;
}

static enum http_section_event step_value(struct http_section *self, const char *data, size_t end)
{
    self->at = http_chars_text_run(data, self->at, end);
    if (self->at == end)
        return HTTP_SECTION_MORE;
    if (data[self->at] != '\r')
        return bad(self, 400, "control character in a field value");
    self->value.len = self->at - self->value.at;
    self->at++;
    self->state = ST_VALUE_LF;
    return HTTP_SECTION_MORE;
}

static enum http_section_event step_lf(struct http_section *self, const char *data)
{
    bool is_end = self->state == ST_END_LF;

    if (data[self->at] != '\n')
        return bad(self, 400, "bare CR");
    self->at++;
    self->state = ST_FIRST;
    return is_end ? HTTP_SECTION_END : HTTP_SECTION_FIELD;
}

/* A line that is there as a whole and is sound, in one pass; of any other the steps say what it
 * is. */
static inline bool read_line(struct http_section *self, const char *data, size_t end)
{
    size_t colon = http_chars_name_run(data, self->at, end), stop;

    if (colon == self->at || colon == end || data[colon] != ':')
        return false;
    stop = http_chars_text_run(data, colon + 1, end);
    if (end - stop < 2 || data[stop] != '\r' || data[stop + 1] != '\n')
        return false;
    self->fields++;
    self->name = (struct http_span){self->at, colon - self->at};
    self->value = (struct http_span){colon + 1, stop - (colon + 1)};
    self->at = stop + 2;
    return true;
}

/* Each step goes on in the next one, so that bytes are looked at again only in a line that is not
 * there as a whole, and once. */
static inline enum http_section_event next_line(struct http_section *self, const char *data,
                                                size_t end, unsigned fields_max)
{
    enum http_section_event event = HTTP_SECTION_MORE;

    if (self->state == ST_FIRST && self->fields < fields_max && read_line(self, data, end))
        return HTTP_SECTION_FIELD;
    if (self->state == ST_FIRST && self->at < end)
        event = step_first(self, data[self->at], fields_max);
    if (self->state == ST_NAME && self->at < end)
        event = step_name(self, data, end);
    if (self->state == ST_VALUE && self->at < end)
        event = step_value(self, data, end);
    if (event == HTTP_SECTION_MORE && self->at < end)
        event = step_lf(self, data);
    return event;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value without blanks; nearly always there is one, before it. */
static inline void trim(struct http_section *self, const char *data)
{
    const char *value = data + self->value.at;

    if (self->value.len > 1 && value[0] == ' ' && !is_blank(value[1]) &&
        !is_blank(value[self->value.len - 1])) {
        self->value.at++;
        self->value.len--;
    } else {
        self->value = http_span_trim(self->value, data);
        self->unusual = true;
    }
}

/* A line that does not just go on. */
static inline void mark(struct http_section *self)
{
    if (self->marked == HTTP_MARKS_MAX)
        self->unusual = true;
    else
        self->marks[self->marked++] =
            (struct http_mark){(uint32_t)self->name.at, (uint32_t)self->at, self->role};
}

enum http_section_event http_section_next(struct http_section *self, const char *data, size_t end,
                                          unsigned fields_max)
{
    enum http_section_event event;

    do {
        event = next_line(self, data, end, fields_max);
        if (event != HTTP_SECTION_FIELD)
            return event;
        trim(self, data);
        self->role = http_role_of(data + self->name.at, self->name.len);
    } while (self->role == HTTP_ROLE_PLAIN);
    if (!http_role_goes_on(self->role))
        mark(self);
    return HTTP_SECTION_FIELD;
}
