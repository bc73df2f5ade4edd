/* SPDX-License-Identifier: Apache-2.0 */
/* Collects lines, counts those that come too fast, and hands all of a turn to the file at once. */
#include "modules/gateway/access.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/access_file.h"
#include "modules/gateway/exposure.h"

#define BUFFER_BYTES (64 * 1024)
#define SECOND_MS 1000

struct gw_access {
    struct ev_loop *loop;
    struct gw_access_file file;
    ev_prepare turn_end; /* runs only while something waits in `lines` */
    bool json;
    uint64_t rate;     /* lines in a second; 0 = no cap */
    uint64_t since_ms; /* monotonic: when the present second began */
    uint64_t count;    /* lines of it */
    uint64_t dropped;  /* requests since the last line that have none */
    struct gw_access_clock clock;
    size_t len;
    char lines[BUFFER_BYTES];
};

static void flush(struct gw_access *self)
{
    size_t len = self->len;

    self->len = 0;
    if (len > 0)
        self->dropped += gw_access_file_append(&self->file, self->lines, len);
    ev_prepare_stop(self->loop, &self->turn_end);
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    flush(w->data);
}

/* Whether one more line may be written in this second. */
static bool may_write(struct gw_access *self)
{
    uint64_t now_ms;

    if (self->rate == 0)
        return true;
    now_ms = clock_mono_ms();
    if (now_ms - self->since_ms >= SECOND_MS) {
        self->since_ms = now_ms;
        self->count = 0;
    }
    if (self->count == self->rate)
        return false;
    self->count++;
    return true;
}

void gw_access_write(struct gw_access *self, const struct gw_access_record *record)
{
    if (self == NULL)
        return;
    if (!may_write(self)) {
        self->dropped++;
        return;
    }
    if (sizeof(self->lines) - self->len < GW_ACCESS_LINE_MAX)
        flush(self);
    self->len += gw_access_line_print(self->lines + self->len, record, self->json, &self->clock,
                                      clock_unix_ms(), self->dropped);
    self->dropped = 0;
    ev_prepare_start(self->loop, &self->turn_end);
}

/* A copy of LEN bytes at *PLACE, which moves behind them; NULL stays NULL. */
static const char *copy(char **place, const char *text, size_t len)
{
    char *at = *place;

    if (text == NULL)
        return NULL;
    memcpy(at, text, len);
    at[len] = '\0';
    *place += len + 1;
    return at;
}

static const char *copy_name(char **place, const char *text)
{
    return copy(place, text, text != NULL ? strlen(text) : 0);
}

static size_t room_of(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

struct gw_access_record *gw_access_keep(const struct gw_access_record *record)
{
    size_t len = room_of(record->visitor) + room_of(record->exposure) + room_of(record->host) +
                 record->method.len + record->target.len + record->request.len + 3 + GW_KEY_LEN + 1;
    struct gw_access_record *kept = malloc(sizeof(*kept) + len);
    char *place = (char *)(kept + 1);

    if (kept == NULL)
        return NULL;
    *kept = *record;
    kept->visitor = copy_name(&place, record->visitor);
    kept->exposure = copy_name(&place, record->exposure);
    kept->host = copy_name(&place, record->host);
    kept->method.at = copy(&place, record->method.at, record->method.len);
    kept->target.at = copy(&place, record->target.at, record->target.len);
    kept->request.at = copy(&place, record->request.at, record->request.len);
    kept->connector = (const uint8_t *)copy(&place, (const char *)record->connector, GW_KEY_LEN);
    return kept;
}

void gw_access_reopen(struct gw_access *self)
{
    if (self == NULL)
        return;
    flush(self);
    gw_access_file_reopen(&self->file);
}

static int make(struct gw_access **out, struct ev_loop *loop, const struct gw_http_config *cfg)
{
    struct gw_access *self = malloc(sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    memset(self, 0, offsetof(struct gw_access, lines));
    self->loop = loop;
    self->json = cfg->access_log_json;
    self->rate = cfg->access_log_rate;
    self->since_ms = clock_mono_ms();
    ev_prepare_init(&self->turn_end, on_turn_end);
    self->turn_end.data = self;
    gw_access_file_init(&self->file, cfg->access_log);
    *out = self;
    return ERR_OK;
}

static void change(struct gw_access *self, const struct gw_http_config *cfg)
{
    flush(self);
    self->json = cfg->access_log_json;
    self->rate = cfg->access_log_rate;
    if (strcmp(self->file.path, cfg->access_log) == 0)
        return;
    gw_access_file_deinit(&self->file);
    gw_access_file_init(&self->file, cfg->access_log);
}

int gw_access_apply(struct gw_access **log, struct ev_loop *loop, const struct gw_http_config *cfg)
{
    if (cfg->access_log[0] == '\0') {
        gw_access_free(*log);
        *log = NULL;
        return ERR_OK;
    }
    if (*log == NULL)
        return make(log, loop, cfg);
    change(*log, cfg);
    return ERR_OK;
}

void gw_access_free(struct gw_access *self)
{
    if (self == NULL)
        return;
    flush(self);
    gw_access_file_deinit(&self->file);
    free(self);
}
