/* SPDX-License-Identifier: Apache-2.0 */
/* The text is cut into pieces once: each is some bytes and the hole behind them. */
#include "modules/http/template.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define NAME_MAX_LEN 32 /* of an unknown name, as far as it is told */

enum hole { STATUS, REASON, MESSAGE, REQUEST_ID, HOLES, NO_HOLE = HOLES };

static const char *const names[HOLES] = {"status", "reason", "message", "request_id"};

struct piece {
    size_t at; /* in the text */
    size_t len;
    enum hole hole; /* that follows */
};

struct http_template {
    size_t count;
    struct piece pieces[HTTP_TEMPLATE_HOLES_MAX + 1];
    char text[]; /* as it was given */
};

/* ---- reading ---- */

struct reader {
    struct http_template *self;
    size_t len;
    size_t at;    /* next byte */
    size_t start; /* of the piece under way */
    char *why;
};

static int fail(const struct reader *r, const char *what)
{
    (void)snprintf(r->why, HTTP_TEMPLATE_WHY_MAX, "%s", what);
    return ERR_INVALID;
}

/* Only what looks like a name is told; the rest of a line may be anything. */
static int fail_name(const struct reader *r, const char *name, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t good = 0;

    while (good < len && good < NAME_MAX_LEN && strchr(letters, name[good]) != NULL)
        good++;
    (void)snprintf(r->why, HTTP_TEMPLATE_WHY_MAX,
                   "\"{{%.*s%s\" is not {{status}}, {{reason}}, {{message}} or {{request_id}}",
                   (int)good, name, good == len ? "}}" : "");
    return ERR_INVALID;
}

static int end_piece(struct reader *r, size_t end, enum hole hole)
{
    struct http_template *self = r->self;

    if (self->count > HTTP_TEMPLATE_HOLES_MAX)
        return fail(r, "has too many placeholders");
    self->pieces[self->count++] =
        (struct piece){.at = r->start, .len = end - r->start, .hole = hole};
    return ERR_OK;
}

static enum hole hole_of(const char *name, size_t len)
{
    for (int i = 0; i < HOLES; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return (enum hole)i;
    }
    return NO_HOLE;
}

/* What stands between the braces: NAME, with blanks around it. */
static int read_name(struct reader *r, const char *name, size_t len)
{
    enum hole hole;

    while (len > 0 && *name == ' ') {
        name++;
        len--;
    }
    while (len > 0 && name[len - 1] == ' ')
        len--;
    hole = hole_of(name, len);
    return hole == NO_HOLE ? fail_name(r, name, len) : end_piece(r, r->at, hole);
}

/* "{{" is at r->at: a hole, or the first of two that mean themselves. */
static int read_braces(struct reader *r)
{
    const char *text = r->self->text, *name = text + r->at + 2;
    size_t left = r->len - r->at - 2;
    const char *line_end = memchr(name, '\n', left), *end;
    int rc;

    if (left >= 2 && memcmp(name, "{{", 2) == 0) {
        rc = end_piece(r, r->at + 2, NO_HOLE);
        r->start = r->at + 4;
    } else {
        end = memmem(name, line_end != NULL ? (size_t)(line_end - name) : left, "}}", 2);
        if (end == NULL)
            return fail(r, "\"{{\" is not closed by \"}}\" in its line");
        rc = read_name(r, name, (size_t)(end - name));
        r->start = (size_t)(end - text) + 2;
    }
    if (rc == ERR_OK)
        r->at = r->start;
    return rc;
}

static int read_all(struct reader *r)
{
    const char *text = r->self->text;
    int rc = ERR_OK;

    while (rc == ERR_OK) {
        const char *next = memmem(text + r->at, r->len - r->at, "{{", 2);

        if (next == NULL)
            return end_piece(r, r->len, NO_HOLE);
        r->at = (size_t)(next - text);
        rc = read_braces(r);
    }
    return rc;
}

static size_t line_of(const char *text, size_t at)
{
    size_t line = 1;

    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

/* What can be said without looking at the holes. */
static int check_text(struct reader *r, const char *text)
{
    const char *nul = r->len > 0 ? memchr(text, '\0', r->len) : NULL;

    if (r->len == 0)
        return fail(r, "is empty");
    if (r->len > HTTP_TEMPLATE_MAX)
        return fail(r, "is longer than 64 KiB");
    if (nul == NULL)
        return ERR_OK;
    r->at = (size_t)(nul - text);
    return fail(r, "holds a NUL byte");
}

int http_template_parse(struct http_template **out, const char *text, size_t len, size_t *line,
                        char why[HTTP_TEMPLATE_WHY_MAX])
{
    struct reader r = {.len = len, .why = why};
    int rc = check_text(&r, text);

    *line = 1;
    if (rc == ERR_OK) {
        r.self = malloc(sizeof(*r.self) + len);
        if (r.self == NULL)
            return ERR_NOMEM;
        r.self->count = 0;
        memcpy(r.self->text, text, len);
        rc = read_all(&r);
    }
    if (rc == ERR_OK) {
        *out = r.self;
        return ERR_OK;
    }
    *line = line_of(text, r.at < len ? r.at : len);
    http_template_free(r.self);
    return rc;
}

void http_template_free(struct http_template *self)
{
    free(self);
}

/* ---- printing ---- */

/* An id that came from anywhere else than our own generator stays out of the page. */
static bool is_plain(const char *id)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    return id[strspn(id, plain)] == '\0';
}

/* The text of each hole, the last one of NO_HOLE. */
struct filling {
    char status[4];
    const char *text[HOLES + 1];
    size_t len[HOLES + 1];
};

static void fill(struct filling *out, const struct http_template_values *values)
{
    const char *id = values->request_id;

    for (int i = 0, left = values->status; i < 3; i++, left /= 10)
        out->status[2 - i] = (char)('0' + left % 10);
    out->status[3] = '\0';
    out->text[STATUS] = out->status;
    out->text[REASON] = values->reason;
    out->text[MESSAGE] = values->message;
    out->text[REQUEST_ID] = id != NULL && is_plain(id) ? id : "";
    out->text[NO_HOLE] = "";
    for (int i = 0; i <= HOLES; i++)
        out->len[i] = strlen(out->text[i]);
}

size_t http_template_len(const struct http_template *self,
                         const struct http_template_values *values)
{
    struct filling filling;
    size_t len = 0;

    fill(&filling, values);
    for (size_t i = 0; i < self->count; i++)
        len += self->pieces[i].len + filling.len[self->pieces[i].hole];
    return len;
}

size_t http_template_print(char *out, const struct http_template *self,
                           const struct http_template_values *values)
{
    struct filling filling;
    char *p = out;

    fill(&filling, values);
    for (size_t i = 0; i < self->count; i++) {
        const struct piece *piece = &self->pieces[i];

        memcpy(p, self->text + piece->at, piece->len);
        p += piece->len;
        memcpy(p, filling.text[piece->hole], filling.len[piece->hole]);
        p += filling.len[piece->hole];
    }
    return (size_t)(p - out);
}
