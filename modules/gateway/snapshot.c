/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File format, version 1. Every line is "<32 hex> <json>" LF, the hex being BLAKE2b-128 of the
 * JSON. Line 1 is the head {"format","version","boot","epoch","rev","count"}; COUNT entry lines
 * follow.
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

static json_t *entry_json(const struct gw_entry *entry)
{
    char hash[2 * GW_HASH_LEN + 1];

    hex_encode(hash, entry->hash, sizeof(entry->hash));
    return json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:s%, s:i, s:b, s:b, s:I}", "id", entry->id,
                     "owner", entry->owner == GW_OWNER_AGENT ? "agent" : "zbus", "epoch",
                     (json_int_t)entry->epoch, "rev", (json_int_t)entry->rev, "gone", entry->gone,
                     "hash", hash, "spec", entry->spec, entry->spec_len, "port", (int)entry->port,
                     "verified", entry->verified, "late", entry->late, "order",
                     (json_int_t)entry->order);
}

int gw_snapshot_encode(const struct gw_store *store, const char *boot, char **out, size_t *out_len)
{
    struct gw_entry *entry;
    size_t at = 0;
    FILE *f = open_memstream(out, out_len);
    int rc;

    if (f == NULL)
        return ERR_NOMEM;
    rc = write_line(f, head_json(store, boot));
    while (rc == ERR_OK && (entry = gw_store_next(store, &at)) != NULL)
        rc = write_line(f, entry_json(entry));
    if (fclose(f) != 0 || rc != ERR_OK) {
        free(*out);
        *out = NULL;
        return ERR_NOMEM;
    }
    return ERR_OK;
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

/* ERR_INVALID: not an entry; ERR_EXISTS: the id came before. */
static int add_entry(struct gw_store *store, const struct parts *parts)
{
    enum gw_owner owner = strcmp(parts->owner, "zbus") == 0 ? GW_OWNER_ZBUS : GW_OWNER_AGENT;
    struct gw_entry *entry = NULL;
    uint8_t hash[GW_HASH_LEN];
    int rc;

    if (hex_decode(hash, sizeof(hash), parts->hash, strlen(parts->hash)) != ERR_OK ||
        parts->spec_len > GW_SPEC_MAX)
        return ERR_INVALID;
    if (gw_store_find(store, owner, parts->id) != NULL)
        return ERR_EXISTS;
    rc = gw_store_obtain(store, &entry, owner, parts->id);
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
    return rc == ERR_OK ? add_entry(store, &parts) : rc;
}

int gw_snapshot_decode(struct gw_store *store, const char *boot, const char *text, size_t len,
                       size_t *bad, char why[GW_SNAPSHOT_WHY_MAX])
{
    struct lines in = {.p = text, .end = text + len};
    json_t *json = NULL;
    struct head head;
    enum line line;
    size_t count = 0;
    int rc = read_head(&head, &in, boot, why);

    *bad = 0;
    if (rc != ERR_OK)
        return rc;
    while ((line = next_line(&in, &json)) != LINE_NONE) {
        rc = line == LINE_OK ? read_entry(store, &head, json) : ERR_INVALID;
        if (line == LINE_OK)
            json_decref(json);
        if (rc == ERR_NOMEM)
            return rc;
        count++;
        if (rc != ERR_OK && (*bad)++ == 0)
            explain(why, "line %zu is damaged", in.number);
    }
    if (count < head.count) {
        if (*bad == 0)
            explain(why, "the file is cut after line %zu", in.number);
        *bad += head.count - count;
    }
    gw_store_set_mark(store, head.mark);
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
                     char why[GW_SNAPSHOT_WHY_MAX])
{
    char path[GW_PATH_MAX + sizeof(GW_SNAPSHOT_FILE) + 1];
    char *text = NULL;
    size_t len = 0, bad = 0;
    int rc;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, GW_SNAPSHOT_FILE);
    rc = file_read(&text, &len, path, GW_SNAPSHOT_MAX);
    if (rc == ERR_NOENT)
        return ERR_OK;
    if (rc != ERR_OK)
        return load_failed(why, path, rc);
    rc = gw_snapshot_decode(store, boot, text, len, &bad, why);
    free(text);
    if (rc == ERR_INVALID || (rc == ERR_OK && bad > 0))
        rc = set_aside(path, why, bad);
    return rc == ERR_OK ? ERR_OK : load_failed(why, path, rc);
}
