/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File format, version 2. Every line is "<32 hex> <json>" LF, the hex being BLAKE2b-128 of the
 * JSON. Line 1 is the head {"format","version","boot","epoch","rev","count"}; COUNT entry lines
 * follow. Version 1 ends there. Then come changes: an entry line (it is so now),
 * {"removed","owner"} and, behind those of one write, {"epoch","rev"}, the new mark.
 */
#include "modules/gateway/snapshot.h"

#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/hex.h"
#include "bus/base/log.h"
#include "modules/gateway/config.h"

#define FORMAT "netwall-gateway"
#define SUM_LEN 16
#define SUM_TEXT ((size_t)(2 * SUM_LEN)) /* digits in front of a line */
#define LINE_MIN (SUM_TEXT + 3)          /* digits, blank, "{}" */

void gw_snapshot_boot(char out[GW_BOOT_MAX])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, GW_BOOT_MAX - 1) : -1;

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static void print_sum(char out[SUM_TEXT + 1], const char *text, size_t len)
{
    uint8_t sum[SUM_LEN];

    (void)crypto_generichash(sum, sizeof(sum), (const uint8_t *)text, len, NULL, 0);
    hex_encode(out, sum, sizeof(sum));
}

/* Takes JSON over. */
static int write_line(FILE *f, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    char sum[SUM_TEXT + 1];

    json_decref(json);
    if (text == NULL)
        return ERR_NOMEM;
    print_sum(sum, text, strlen(text));
    (void)fprintf(f, "%s %s\n", sum, text); /* a memory stream: ferror tells at the end */
    free(text);
    return ERR_OK;
}

static json_t *head_json(const struct gw_store *store, const char *boot)
{
    struct gw_mark mark = gw_store_mark(store);

    return json_pack("{s:s, s:i, s:s, s:I, s:I, s:I}", "format", FORMAT, "version",
                     GW_SNAPSHOT_VERSION, "boot", boot, "epoch", (json_int_t)mark.epoch, "rev",
                     (json_int_t)mark.rev, "count", (json_int_t)gw_store_count(store));
}

static const char *owner_text(enum gw_owner owner)
{
    return owner == GW_OWNER_AGENT ? "agent" : "zbus";
}

static json_t *entry_json(const struct gw_entry *entry)
{
    char hash[2 * GW_HASH_LEN + 1];

    hex_encode(hash, entry->hash, sizeof(entry->hash));
    return json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:s%, s:i, s:b, s:b, s:I}", "id", entry->id,
                     "owner", owner_text(entry->owner), "epoch", (json_int_t)entry->epoch, "rev",
                     (json_int_t)entry->rev, "gone", entry->gone, "hash", hash, "spec", entry->spec,
                     entry->spec_len, "port", (int)entry->port, "verified", entry->verified, "late",
                     entry->late, "order", (json_int_t)entry->order);
}

static int write_all(FILE *f, const struct gw_store *store, const char *boot)
{
    struct gw_entry *entry;
    size_t at = 0;
    int rc = write_line(f, head_json(store, boot));

    while (rc == ERR_OK && (entry = gw_store_next(store, &at)) != NULL)
        rc = write_line(f, entry_json(entry));
    return rc;
}

/* Removed ones first: an id may be gone and there again. */
static int write_changes(FILE *f, const struct gw_store *store)
{
    struct gw_mark mark = gw_store_mark(store);
    struct gw_entry *entry = NULL;
    enum gw_owner owner;
    const char *id;
    size_t at = 0;
    int rc = ERR_OK;

    while (rc == ERR_OK && (id = gw_store_next_removed(store, &at, &owner)) != NULL)
        rc = write_line(f, json_pack("{s:s, s:s}", "removed", id, "owner", owner_text(owner)));
    while (rc == ERR_OK && (entry = gw_store_next_touched(store, entry)) != NULL)
        rc = write_line(f, entry_json(entry));
    if (rc == ERR_OK)
        rc = write_line(f, json_pack("{s:I, s:I}", "epoch", (json_int_t)mark.epoch, "rev",
                                     (json_int_t)mark.rev));
    return rc;
}

static int finish(FILE *f, char **out, int rc)
{
    if (fclose(f) == 0 && rc == ERR_OK)
        return ERR_OK;
    free(*out);
    *out = NULL;
    return ERR_NOMEM;
}

int gw_snapshot_encode(const struct gw_store *store, const char *boot, char **out, size_t *out_len)
{
    FILE *f = open_memstream(out, out_len);

    return f == NULL ? ERR_NOMEM : finish(f, out, write_all(f, store, boot));
}

int gw_snapshot_encode_changes(const struct gw_store *store, char **out, size_t *out_len)
{
    FILE *f = open_memstream(out, out_len);

    return f == NULL ? ERR_NOMEM : finish(f, out, write_changes(f, store));
}

/* Text still to be read, line by line. */
struct lines {
    const char *p;
    const char *end;
    size_t number; /* of the line read last */
};

enum line { LINE_NONE, LINE_BAD, LINE_OK };

/* The JSON of the next line into *OUT (the caller's) when its sum is right. */
static enum line next_line(struct lines *in, json_t **out)
{
    const char *line = in->p, *eol;
    char sum[SUM_TEXT + 1];
    size_t len;

    if (in->p >= in->end)
        return LINE_NONE;
    in->number++;
    eol = memchr(line, '\n', (size_t)(in->end - line));
    in->p = eol != NULL ? eol + 1 : in->end;
    len = eol != NULL ? (size_t)(eol - line) : 0; /* without its end it was cut */
    if (len < LINE_MIN || line[SUM_TEXT] != ' ')
        return LINE_BAD;
    print_sum(sum, line + SUM_TEXT + 1, len - SUM_TEXT - 1);
    if (memcmp(sum, line, SUM_TEXT) != 0)
        return LINE_BAD;
    *out = json_loadb(line + SUM_TEXT + 1, len - SUM_TEXT - 1, JSON_REJECT_DUPLICATES, NULL);
    return *out != NULL ? LINE_OK : LINE_BAD;
}

static void explain(char why[GW_SNAPSHOT_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void explain(char why[GW_SNAPSHOT_WHY_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, GW_SNAPSHOT_WHY_MAX, fmt, ap);
    va_end(ap);
}

struct head {
    int version;
    bool same_boot;
    struct gw_mark mark;
    size_t count;
};

static int read_head(struct head *out, struct lines *in, const char *boot,
                     char why[GW_SNAPSHOT_WHY_MAX])
{
    const char *format = "", *its_boot = "";
    json_int_t epoch = 0, rev = 0, count = 0;
    json_t *json = NULL;
    int rc;

    *out = (struct head){0};
    if (next_line(in, &json) != LINE_OK) {
        explain(why, "line 1 is damaged");
        return ERR_INVALID;
    }
    rc = json_unpack(json, "{s:s, s:i, s?s, s?I, s?I, s?I}", "format", &format, "version",
                     &out->version, "boot", &its_boot, "epoch", &epoch, "rev", &rev, "count",
                     &count);
    out->same_boot = rc == 0 && its_boot[0] != '\0' && strcmp(its_boot, boot) == 0;
    rc = rc != 0 || strcmp(format, FORMAT) != 0 || epoch < 0 || rev < 0 || count < 0 ? ERR_INVALID
                                                                                     : ERR_OK;
    json_decref(json);
    out->mark = (struct gw_mark){(uint64_t)epoch, (uint64_t)rev};
    out->count = (size_t)count;
    if (rc != ERR_OK)
        explain(why, "line 1 is no head of a gateway state file");
    else if (out->version > GW_SNAPSHOT_VERSION) {
        explain(why, "was written by a newer netwall (format %d, this one reads up to %d)",
                out->version, GW_SNAPSHOT_VERSION);
        rc = ERR_REFUSED;
    }
    return rc;
}

static enum gw_owner owner_of(const char *text)
{
    return strcmp(text, "zbus") == 0 ? GW_OWNER_ZBUS : GW_OWNER_AGENT;
}

/* What an entry line says, before it is trusted. */
struct parts {
    const char *id, *owner, *hash, *spec;
    size_t spec_len;
    json_int_t epoch, rev, order;
    int gone, port, verified, late;
};

static int unpack_entry(struct parts *out, json_t *json)
{
    *out = (struct parts){0};
    if (json_unpack(json, "{s:s, s:s, s:I, s:I, s:b, s:s, s:s%, s:i, s:b, s?b, s?I}", "id",
                    &out->id, "owner", &out->owner, "epoch", &out->epoch, "rev", &out->rev, "gone",
                    &out->gone, "hash", &out->hash, "spec", &out->spec, &out->spec_len, "port",
                    &out->port, "verified", &out->verified, "late", &out->late, "order",
                    &out->order) != 0)
        return ERR_INVALID;
    if (out->epoch < 0 || out->rev < 0 || out->order < 0 || out->port < 0 ||
        out->port > UINT16_MAX ||
        (strcmp(out->owner, "agent") != 0 && strcmp(out->owner, "zbus") != 0))
        return ERR_INVALID;
    return ERR_OK;
}

/* The entry as it is from this line on. ERR_INVALID: not an entry. */
static int put_entry(struct gw_store *store, const struct parts *parts)
{
    struct gw_entry *entry = NULL;
    uint8_t hash[GW_HASH_LEN];
    int rc;

    if (hex_decode(hash, sizeof(hash), parts->hash, strlen(parts->hash)) != ERR_OK ||
        parts->spec_len > GW_SPEC_MAX)
        return ERR_INVALID;
    rc = gw_store_obtain(store, &entry, owner_of(parts->owner), parts->id);
    if (rc != ERR_OK)
        return rc;
    rc = gw_entry_set_spec(entry, parts->spec, parts->spec_len);
    if (rc != ERR_OK) {
        gw_store_remove(store, entry);
        return rc;
    }
    memcpy(entry->hash, hash, sizeof(hash));
    entry->epoch = (uint64_t)parts->epoch;
    entry->rev = (uint64_t)parts->rev;
    entry->gone = parts->gone != 0;
    entry->port = (uint16_t)parts->port;
    entry->verified = parts->verified != 0;
    entry->late = parts->late != 0; /* not in files of before it was there, nor is order */
    gw_store_keep_order(store, entry, (uint64_t)parts->order);
    return ERR_OK;
}

static int read_entry(struct gw_store *store, const struct head *head, json_t *json)
{
    struct parts parts;
    int rc = unpack_entry(&parts, json);

    if (rc == ERR_OK && strcmp(parts.owner, "zbus") == 0 && !head->same_boot)
        return ERR_OK; /* the node was started again: its callers set it anew */
    return rc == ERR_OK ? put_entry(store, &parts) : rc;
}

static int read_removed(struct gw_store *store, json_t *json)
{
    const char *id, *owner;
    struct gw_entry *entry;

    if (json_unpack(json, "{s:s, s:s}", "removed", &id, "owner", &owner) != 0)
        return ERR_INVALID;
    entry = gw_store_find(store, owner_of(owner), id);
    if (entry != NULL)
        gw_store_remove(store, entry);
    return ERR_OK;
}

/* One line behind the whole part. */
static int read_change(struct gw_store *store, struct head *head, json_t *json)
{
    json_int_t epoch, rev;

    if (json_object_get(json, "id") != NULL)
        return read_entry(store, head, json);
    if (json_object_get(json, "removed") != NULL)
        return read_removed(store, json);
    if (json_unpack(json, "{s:I, s:I}", "epoch", &epoch, "rev", &rev) != 0 || epoch < 0 || rev < 0)
        return ERR_INVALID;
    head->mark = (struct gw_mark){(uint64_t)epoch, (uint64_t)rev};
    return ERR_OK;
}

/* A file while it is read. */
struct reading {
    struct gw_store *store;
    struct head head;
    struct lines lines;
    size_t count;     /* of lines behind the head */
    const char *tail; /* behind the part that was written whole */
    struct gw_snapshot_found *found;
    char *why; /* GW_SNAPSHOT_WHY_MAX bytes */
};

/* The next line behind the head. Returns LINE_NONE at the end; a damaged line is counted. */
static enum line read_line(struct reading *r)
{
    bool whole_part = r->count < r->head.count;
    json_t *json = NULL;
    enum line line = next_line(&r->lines, &json);
    int rc = ERR_INVALID;

    if (line == LINE_NONE)
        return line;
    if (line == LINE_BAD && !whole_part && r->lines.p >= r->lines.end) {
        r->found->torn = true;
        return LINE_NONE;
    }
    r->count++;
    if (line == LINE_OK) {
        rc = whole_part ? read_entry(r->store, &r->head, json)
                        : read_change(r->store, &r->head, json);
        json_decref(json);
    }
    if (rc != ERR_OK && r->found->bad++ == 0)
        explain(r->why, "line %zu is damaged", r->lines.number);
    return LINE_OK;
}

static void read_lines(struct reading *r)
{
    enum line line;

    do {
        if (r->count <= r->head.count)
            r->tail = r->lines.p;
        line = read_line(r);
    } while (line != LINE_NONE);
}

static bool has_long_tail(const struct reading *r)
{
    size_t len = (size_t)(r->lines.end - r->tail);

    return len > GW_SNAPSHOT_TAIL_MIN && len > r->found->len - len;
}

int gw_snapshot_decode(struct gw_store *store, const char *boot, const struct gw_snapshot_text *in,
                       struct gw_snapshot_found *found, char why[GW_SNAPSHOT_WHY_MAX])
{
    struct reading r = {
        .store = store,
        .lines = {.p = in->text, .end = in->text + in->len},
        .found = found,
        .why = why,
    };
    int rc = read_head(&r.head, &r.lines, boot, why);

    *found = (struct gw_snapshot_found){.len = in->len, .bad = rc == ERR_INVALID};
    if (rc != ERR_OK)
        return rc;
    read_lines(&r);
    gw_store_forget_touched(store);
    if (r.count < r.head.count) {
        if (found->bad == 0)
            explain(why, "the file is cut after line %zu", r.lines.number);
        found->bad += r.head.count - r.count;
    }
    found->appendable = found->bad == 0 && !found->torn && r.head.same_boot && !has_long_tail(&r) &&
                        r.head.version == GW_SNAPSHOT_VERSION;
    gw_store_set_mark(store, r.head.mark);
    return ERR_OK;
}

/* Keep the damaged file for a person to look at. */
static int set_aside(const char *path, const char *why, size_t bad)
{
    char aside[GW_PATH_MAX + 64];

    (void)snprintf(aside, sizeof(aside), "%s.damaged-%llu", path,
                   (unsigned long long)clock_unix_ms());
    if (rename(path, aside) != 0)
        return ERR_SYS;
    LOG_ERROR("state file is damaged; what is whole in it is served, the rest comes from the agent",
              KV_S("file", path), KV_S("why", why), KV_N("lost", bad), KV_S("kept_as", aside));
    return ERR_OK;
}

static int load_failed(char why[GW_SNAPSHOT_WHY_MAX], const char *path, int rc)
{
    char text[GW_SNAPSHOT_WHY_MAX];

    explain(text, "%s: %s", path, rc == ERR_REFUSED ? why : err_text(rc));
    memcpy(why, text, sizeof(text));
    return rc;
}

int gw_snapshot_load(struct gw_store *store, const char *dir, const char *boot,
                     struct gw_snapshot_found *found, char why[GW_SNAPSHOT_WHY_MAX])
{
    char path[GW_PATH_MAX + sizeof(GW_SNAPSHOT_FILE) + 1];
    struct gw_snapshot_found unused;
    struct gw_snapshot_text in = {0};
    char *text = NULL;
    int rc;

    found = found != NULL ? found : &unused;
    *found = (struct gw_snapshot_found){0};
    (void)snprintf(path, sizeof(path), "%s/%s", dir, GW_SNAPSHOT_FILE);
    rc = file_read(&text, &in.len, path, GW_SNAPSHOT_MAX);
    if (rc == ERR_NOENT)
        return ERR_OK;
    if (rc != ERR_OK)
        return load_failed(why, path, rc);
    in.text = text;
    rc = gw_snapshot_decode(store, boot, &in, found, why);
    free(text);
    if (found->torn)
        LOG_INFO("the last change in the state file was never finished", KV_S("file", path));
    if (rc == ERR_INVALID || (rc == ERR_OK && found->bad > 0))
        rc = set_aside(path, why, found->bad);
    return rc == ERR_OK ? ERR_OK : load_failed(why, path, rc);
}
