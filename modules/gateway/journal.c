/* SPDX-License-Identifier: Apache-2.0 */
/* Lines appended, and now and then all of them written anew. */
#include "modules/gateway/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/hex.h"
#include "bus/base/log.h"
#include "modules/gateway/report.h"

#define INSTANCE_LEN 8         /* random bytes that name a process */
#define INSTANCE_MAX 64        /* characters of a name in the file */
#define FILE_MAX (256u << 20)  /* bytes that are read */
#define GROWTH_MAX (16u << 20) /* bytes appended before everything is written anew */
#define PIECE_MAX 1000         /* ids in one report: well below the bus's 1 MB */

struct gw_journal {
    char path[GW_PATH_MAX];
    char instance[2 * INSTANCE_LEN + 1];
    json_t *past;  /* list of {"instance","totals"}, oldest first */
    json_t *own;   /* id -> usage */
    json_t *piece; /* of own: not yet written; NULL = nothing */
    bool open;     /* this process writes */
    int fd;        /* -1 = closed, or it cannot be written */
    size_t growth;
    bool anew; /* the last write failed: the file's end is not known */
};

int gw_journal_new(struct gw_journal **out, const char *dir)
{
    struct gw_journal *self = calloc(1, sizeof(*self));
    uint8_t instance[INSTANCE_LEN];
    int n;

    if (self == NULL)
        return ERR_NOMEM;
    self->fd = -1;
    self->past = json_array();
    self->own = json_object();
    clock_random(instance, sizeof(instance));
    hex_encode(self->instance, instance, sizeof(instance));
    n = snprintf(self->path, sizeof(self->path), "%s/%s", dir, GW_JOURNAL_FILE);
    if (self->past == NULL || self->own == NULL || n < 0 || (size_t)n >= sizeof(self->path)) {
        gw_journal_free(self);
        return n < 0 || (size_t)n >= sizeof(self->path) ? ERR_LIMIT : ERR_NOMEM;
    }
    *out = self;
    return ERR_OK;
}

static void close_file(struct gw_journal *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
}

void gw_journal_close(struct gw_journal *self)
{
    close_file(self);
    self->open = false;
}

void gw_journal_free(struct gw_journal *self)
{
    if (self == NULL)
        return;
    gw_journal_close(self);
    json_decref(self->past);
    json_decref(self->own);
    json_decref(self->piece);
    free(self);
}

const char *gw_journal_instance(const struct gw_journal *self)
{
    return self->instance;
}

/* --- writing --- */

static void complain(const struct gw_journal *self, int rc)
{
    LOG_WARN("usage cannot be kept on the disk", KV_S("file", self->path),
             KV_S("err", rc == ERR_SYS ? strerror(errno) : err_text(rc)));
}

static void print_line(FILE *out, const char *instance, json_t *totals)
{
    char *line = gw_report_usage(instance, json_incref(totals));

    if (line != NULL)
        (void)fprintf(out, "%s\n", line); /* a memory stream: its end tells */
    free(line);
}

static const char *instance_of(const json_t *report)
{
    const char *instance = json_string_value(json_object_get(report, "instance"));

    return instance != NULL ? instance : "";
}

/* Write all lines anew; the file as it was stays when that fails. */
static int rewrite(struct gw_journal *self)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    json_t *report;
    size_t i;
    int rc = ERR_NOMEM;

    if (out == NULL)
        return rc;
    json_array_foreach(self->past, i, report)
        print_line(out, instance_of(report), json_object_get(report, "totals"));
    if (json_object_size(self->own) > 0)
        print_line(out, self->instance, self->own);
    if (fclose(out) == 0)
        rc = file_write(self->path, text, len);
    free(text);
    return rc;
}

/* Write all lines anew and append to them from now on. */
static void begin(struct gw_journal *self)
{
    int rc = rewrite(self);

    close_file(self);
    self->growth = 0;
    self->anew = rc != ERR_OK;
    if (rc == ERR_OK) {
        self->fd = open(self->path, O_WRONLY | O_APPEND | O_CLOEXEC);
        rc = self->fd >= 0 ? ERR_OK : ERR_SYS;
    }
    if (rc != ERR_OK)
        complain(self, rc);
}

static void append(struct gw_journal *self, const char *line)
{
    size_t len = strlen(line);
    ssize_t n = self->fd >= 0 ? write(self->fd, line, len) : -1;

    self->growth += len;
    if (n == (ssize_t)len)
        return;
    complain(self, n >= 0 ? ERR_LIMIT : ERR_SYS);
    self->anew = true;
}

/* Takes PIECE over; NULL without memory. */
static char *line_of(const struct gw_journal *self, json_t *piece)
{
    char *report = gw_report_usage(self->instance, piece), *line = NULL;
    size_t len = report != NULL ? strlen(report) : 0;

    if (report != NULL)
        line = realloc(report, len + 2);
    if (line == NULL) {
        free(report);
        return NULL;
    }
    memcpy(line + len, "\n", 2);
    return line;
}

void gw_journal_flush(struct gw_journal *self)
{
    json_t *piece = self->piece;
    char *line;

    if (piece == NULL || !self->open)
        return;
    self->piece = NULL;
    if (self->anew || self->growth > GROWTH_MAX) {
        json_decref(piece); /* it is in OWN as well */
        begin(self);
        return;
    }
    line = line_of(self, piece);
    if (line != NULL)
        append(self, line);
    else
        self->anew = true;
    free(line);
}

static bool is_known(const json_t *known, const struct gw_usage *usage)
{
    return json_integer_value(json_object_get(known, "rx_bytes")) == (json_int_t)usage->rx_bytes &&
           json_integer_value(json_object_get(known, "tx_bytes")) == (json_int_t)usage->tx_bytes &&
           json_integer_value(json_object_get(known, "connections")) ==
               (json_int_t)usage->connections;
}

void gw_journal_note(struct gw_journal *self, const char *id, const struct gw_usage *usage)
{
    struct gw_usage total = *usage;
    json_t *json;

    total.active = 0; /* of a process that is no more nothing is active */
    if (is_known(json_object_get(self->own, id), &total))
        return; /* no usage at all is known, too */
    json = gw_report_usage_json(&total);
    if (self->piece == NULL)
        self->piece = json_object();
    if (json != NULL)
        (void)json_object_set(self->piece, id, json); /* without memory: the next time */
    if (json_object_set_new(self->own, id, json) != 0)
        self->anew = true;
}

/* --- reading --- */

/* The totals of INSTANCE so far; a new and empty one when it is new. */
static json_t *totals_of(struct gw_journal *self, const char *instance)
{
    json_t *report;
    size_t i;

    if (strcmp(instance, self->instance) == 0)
        return self->own;
    json_array_foreach(self->past, i, report)
    {
        if (strcmp(instance_of(report), instance) == 0)
            return json_object_get(report, "totals");
    }
    report = json_pack("{s:s, s:{}}", "instance", instance, "totals");
    if (report == NULL || json_array_append_new(self->past, report) != 0)
        return NULL;
    return json_object_get(report, "totals");
}

/* What is no line of ours (the last one of a process that was killed) is passed over. */
static void read_line(struct gw_journal *self, const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *totals = json_object_get(json, "totals"), *all = NULL;
    const char *instance = instance_of(json);

    if (json_is_object(totals) && instance[0] != '\0' && strlen(instance) <= INSTANCE_MAX)
        all = totals_of(self, instance);
    if (all != NULL)
        (void)json_object_update(all, totals); /* later totals are higher */
    json_decref(json);
}

static void read_all(struct gw_journal *self)
{
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(&text, &len, self->path, FILE_MAX);

    if (rc != ERR_OK) {
        if (rc != ERR_NOENT)
            complain(self, rc);
        return;
    }
    for (const char *at = text, *end; (end = memchr(at, '\n', len)) != NULL; at = end + 1) {
        read_line(self, at, (size_t)(end - at));
        len -= (size_t)(end - at) + 1;
    }
    free(text);
}

void gw_journal_open(struct gw_journal *self)
{
    self->open = true;
    read_all(self);
    while (json_array_size(self->past) > GW_JOURNAL_PAST_MAX)
        (void)json_array_remove(self->past, 0);
    begin(self);
}

/* --- telling --- */

static void tell_past(const json_t *report, void (*fn)(void *arg, char *body), void *arg)
{
    json_t *piece = json_object(), *usage;
    const char *id;
    char *body;

    json_object_foreach(json_object_get(report, "totals"), id, usage)
    {
        (void)json_object_set(piece, id, usage);
        if (json_object_size(piece) < PIECE_MAX)
            continue;
        body = gw_report_usage(instance_of(report), piece);
        piece = json_object();
        if (body != NULL)
            fn(arg, body);
    }
    body = json_object_size(piece) > 0 ? gw_report_usage(instance_of(report), json_incref(piece))
                                       : NULL;
    json_decref(piece);
    if (body != NULL)
        fn(arg, body);
}

void gw_journal_each_past(const struct gw_journal *self, void (*fn)(void *arg, char *body),
                          void *arg)
{
    json_t *report;
    size_t i;

    json_array_foreach(self->past, i, report) tell_past(report, fn, arg);
}
