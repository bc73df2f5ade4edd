/* SPDX-License-Identifier: Apache-2.0 */
/* Fields wait in a map until the head says that they are whole. */
#include "modules/gateway/desired.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/map.h"

/* One field of this look. */
struct field {
    char id[GW_ID_MAX];
    struct sch_assign entry; /* its spec only as text, below */
    char *spec;              /* canonical text, owned; NULL = gone, or the same as in the store */
    size_t spec_len;
    bool absent; /* partial look: not on the bus */
};

struct gw_desired {
    struct gw_store *store;
    struct map *fields; /* id -> field */
    struct sch_digest digest;
    uint64_t count;
    bool partial;
    bool spoilt; /* some field was no entry */
};

static void explain(char why[GW_DESIRED_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void explain(char why[GW_DESIRED_WHY_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, GW_DESIRED_WHY_MAX, fmt, ap);
    va_end(ap);
}

int gw_desired_new(struct gw_desired **out, struct gw_store *store,
                   const struct gw_desired_sum *base)
{
    struct gw_desired *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->fields) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->store = store;
    if (base != NULL) {
        self->partial = true;
        self->digest = base->digest;
        self->count = base->count;
    }
    *out = self;
    return ERR_OK;
}

static void field_free(struct field *field)
{
    free(field->spec);
    free(field);
}

void gw_desired_free(struct gw_desired *self)
{
    struct field *field;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((field = map_next(self->fields, &at, NULL, NULL)) != NULL)
        field_free(field);
    map_free(self->fields);
    free(self);
}

/* The field that ENTRY was taken over from, as far as the digest needs it. */
static struct sch_assign mirror(const struct gw_entry *entry)
{
    struct sch_assign out = {.rev = entry->rev, .gone = entry->gone};

    hex_encode(out.hash, entry->hash, sizeof(entry->hash));
    return out;
}

/* Partial look: what was counted for ID until now is replaced. */
static void take_out_old(struct gw_desired *self, const char *id)
{
    const struct gw_entry *entry = gw_store_find(self->store, GW_OWNER_AGENT, id);
    struct sch_assign old;

    if (!self->partial || entry == NULL || !entry->seen)
        return;
    old = mirror(entry);
    sch_digest_toggle(&self->digest, id, &old);
    self->count--;
}

static bool same_content(const struct gw_entry *entry, const struct sch_assign *with)
{
    char hash[SCH_HASH_HEX];

    hex_encode(hash, entry->hash, sizeof(entry->hash));
    return entry->gone == with->gone && strcmp(hash, with->hash) == 0;
}

/* Keep FIELD's spec as text when the store does not have it, and let go of the tree. */
static int keep_spec(struct gw_desired *self, struct field *field)
{
    const struct gw_entry *entry = gw_store_find(self->store, GW_OWNER_AGENT, field->id);
    int rc = ERR_OK;

    if (field->entry.spec != NULL && (entry == NULL || !same_content(entry, &field->entry))) {
        field->spec = sch_canonical(field->entry.spec, &field->spec_len);
        rc = field->spec == NULL ? ERR_NOMEM : ERR_OK;
    }
    json_decref(field->entry.spec);
    field->entry.spec = NULL;
    return rc;
}

static int read_field(struct field **out, const char *id, size_t id_len, const char *text,
                      size_t len, char why[GW_DESIRED_WHY_MAX])
{
    struct sch_report report = {0};
    struct field *field;
    int rc;

    if (id_len == 0 || id_len >= GW_ID_MAX || memchr(id, '\0', id_len) != NULL) {
        explain(why, "a field of %zu bytes is no workload id", id_len);
        return ERR_INVALID;
    }
    field = calloc(1, sizeof(*field));
    if (field == NULL)
        return ERR_NOMEM;
    memcpy(field->id, id, id_len);
    rc = sch_assign_parse(&field->entry, text, len, &report);
    if (rc != ERR_OK) {
        explain(why, "field %s: %s %s", field->id, report.path, report.why);
        free(field);
        return rc;
    }
    *out = field;
    return ERR_OK;
}

/* Take out what this look knew of the field; returns whether it did. */
static bool take_out(struct gw_desired *self, const void *id, size_t len)
{
    struct field *field = map_remove(self->fields, id, len);

    if (field == NULL)
        return false;
    if (!field->absent) {
        sch_digest_toggle(&self->digest, field->id, &field->entry);
        self->count--;
    }
    field_free(field);
    return true;
}

static int add_field(struct gw_desired *self, struct field *field)
{
    bool again = take_out(self, field->id, strlen(field->id));
    int rc = keep_spec(self, field);

    if (rc == ERR_OK)
        rc = map_put_text(self->fields, field->id, field, NULL);
    if (rc != ERR_OK) {
        field_free(field);
        return rc;
    }
    if (!again)
        take_out_old(self, field->id);
    if (field->absent)
        return ERR_OK;
    sch_digest_toggle(&self->digest, field->id, &field->entry);
    self->count++;
    return ERR_OK;
}

int gw_desired_add(struct gw_desired *self, const char *id, size_t id_len, const char *text,
                   size_t len, char why[GW_DESIRED_WHY_MAX])
{
    struct field *field = NULL;
    int rc;

    if (map_count(self->fields) >= GW_DESIRED_MAX) {
        explain(why, "more than %d fields", GW_DESIRED_MAX);
        self->spoilt = true;
        return ERR_LIMIT;
    }
    rc = read_field(&field, id, id_len, text, len, why);
    if (rc == ERR_OK)
        rc = add_field(self, field);
    self->spoilt = self->spoilt || rc != ERR_OK;
    return rc;
}

void gw_desired_absent(struct gw_desired *self, const char *id)
{
    struct field *field;

    if (strlen(id) >= GW_ID_MAX)
        return;
    if (!self->partial) {
        (void)take_out(self, id, strlen(id)); /* not there is what is not added */
        return;
    }
    field = calloc(1, sizeof(*field));
    if (field == NULL) {
        self->spoilt = true;
        return;
    }
    (void)snprintf(field->id, sizeof(field->id), "%s", id);
    field->absent = true;
    if (add_field(self, field) != ERR_OK)
        self->spoilt = true;
}

bool gw_desired_is_stale(const struct gw_store *store, const struct sch_assign_head *head,
                         char why[GW_DESIRED_WHY_MAX])
{
    struct gw_mark mark = gw_store_mark(store);

    if (head->epoch > mark.epoch || (head->epoch == mark.epoch && head->rev >= mark.rev))
        return false;
    explain(why, "epoch %llu rev %llu is older than epoch %llu rev %llu, which was taken over",
            (unsigned long long)head->epoch, (unsigned long long)head->rev,
            (unsigned long long)mark.epoch, (unsigned long long)mark.rev);
    return true;
}

enum gw_verdict gw_desired_judge(const struct gw_desired *self, const struct sch_assign_head *head,
                                 char why[GW_DESIRED_WHY_MAX])
{
    char digest[SCH_HASH_HEX];

    if (gw_desired_is_stale(self->store, head, why))
        return GW_DESIRED_STALE;
    if (self->spoilt)
        return GW_DESIRED_WRONG; /* gw_desired_add said why */
    if (self->count != head->count) {
        explain(why, "%llu entries, the head says %llu", (unsigned long long)self->count,
                (unsigned long long)head->count);
        return GW_DESIRED_WRONG;
    }
    sch_digest_text(digest, &self->digest);
    if (strcmp(digest, head->digest) != 0) {
        explain(why, "the entries do not add up to the head's digest");
        return GW_DESIRED_WRONG;
    }
    return GW_DESIRED_GOOD;
}

/* ---- nothing to take over ---- */

static bool adds_up(const struct gw_store *store, const struct sch_assign_head *head,
                    struct gw_desired_sum *sum)
{
    const struct gw_entry *entry;
    char digest[SCH_HASH_HEX];
    size_t at = 0;

    *sum = (struct gw_desired_sum){0};
    while ((entry = gw_store_next(store, &at)) != NULL) {
        struct sch_assign as = mirror(entry);

        if (entry->owner != GW_OWNER_AGENT)
            continue;
        sch_digest_toggle(&sum->digest, entry->id, &as);
        sum->count++;
    }
    sch_digest_text(digest, &sum->digest);
    sum->known = sum->count == head->count && strcmp(digest, head->digest) == 0;
    return sum->known;
}

bool gw_desired_fits(struct gw_store *store, const struct sch_assign_head *head,
                     const struct gw_desired_ops *ops, struct gw_desired_sum *sum)
{
    struct gw_desired_sum found;
    struct gw_entry *entry;
    size_t at = 0;

    if (!adds_up(store, head, &found))
        return false;
    while ((entry = gw_store_next(store, &at)) != NULL) {
        bool is_new = entry->epoch != head->epoch;

        if (entry->owner != GW_OWNER_AGENT)
            continue;
        entry->seen = true;
        entry->epoch = head->epoch;
        if (is_new)
            ops->on_change(ops->arg, entry, false);
    }
    gw_store_set_mark(store, (struct gw_mark){head->epoch, head->rev});
    *sum = found;
    return true;
}

/* ---- taking over ---- */

/* What FIELD means for ENTRY, of which it is a newer word. */
static int write_entry(struct gw_entry *entry, const struct field *field, bool changed)
{
    int rc = ERR_OK;

    if (changed)
        rc = gw_entry_set_spec(entry, field->spec != NULL ? field->spec : "", field->spec_len);
    if (rc != ERR_OK)
        return rc;
    entry->gone = field->entry.gone;
    entry->rev = field->entry.rev;
    return hex_decode(entry->hash, sizeof(entry->hash), field->entry.hash,
                      strlen(field->entry.hash));
}

/* A field on its way into the store. */
struct taking {
    const struct field *field;
    struct gw_entry *entry; /* NULL = nothing new, or it could not be written */
    bool changed;
};

static int take_over(struct gw_desired *self, struct taking *t, uint64_t epoch)
{
    const struct field *field = t->field;
    struct gw_entry *entry = gw_store_find(self->store, GW_OWNER_AGENT, field->id);
    bool is_new = entry == NULL;
    int rc;

    if (!is_new) {
        struct gw_mark had = {entry->epoch, entry->rev};

        if (entry->epoch == epoch && entry->rev == field->entry.rev) {
            entry->seen = true;
            return ERR_OK;
        }
        if (!gw_mark_before(&had, epoch, field->entry.rev))
            return ERR_INVALID; /* an older word under a newer head */
    }
    rc = gw_store_obtain(self->store, &entry, GW_OWNER_AGENT, field->id);
    if (rc != ERR_OK)
        return rc;
    t->changed = is_new || !same_content(entry, &field->entry);
    rc = write_entry(entry, field, t->changed);
    if (rc != ERR_OK) {
        if (is_new)
            gw_store_remove(self->store, entry);
        return rc;
    }
    entry->epoch = epoch;
    entry->seen = true;
    t->entry = entry;
    return ERR_OK;
}

/* What is gone first, then as the agent decided it, one after the other. */
static int by_turn(const void *a, const void *b)
{
    const struct sch_assign *x = &((const struct taking *)a)->field->entry;
    const struct sch_assign *y = &((const struct taking *)b)->field->entry;

    if (x->gone != y->gone)
        return x->gone ? -1 : 1;
    return (x->rev > y->rev) - (x->rev < y->rev);
}

/* The fields that are there, in their turn. A new array. */
static struct taking *in_turn(const struct gw_desired *self, size_t *count)
{
    struct taking *list = calloc(map_count(self->fields) + 1, sizeof(*list));
    struct field *field;
    size_t at = 0;

    *count = 0;
    while (list != NULL && (field = map_next(self->fields, &at, NULL, NULL)) != NULL) {
        if (!field->absent)
            list[(*count)++].field = field;
    }
    if (list != NULL)
        qsort(list, *count, sizeof(*list), by_turn);
    return list;
}

/* All are written before the first is told of: one that must leave a name to another is known. */
static int take_all(struct gw_desired *self, uint64_t epoch, const struct gw_desired_ops *ops)
{
    size_t count;
    struct taking *list = in_turn(self, &count);
    int rc = list == NULL ? ERR_NOMEM : ERR_OK;

    for (size_t i = 0; i < count; i++) {
        int one = take_over(self, &list[i], epoch);

        rc = rc == ERR_OK ? one : rc;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].entry != NULL)
            ops->on_change(ops->arg, list[i].entry, list[i].changed);
    }
    free(list);
    return rc;
}

/* ENTRY is not on the bus. */
static void not_there(struct gw_entry *entry, const struct gw_desired_ops *ops)
{
    entry->seen = false;
    if (entry->gone)
        ops->on_forget(ops->arg, entry);
    else
        ops->on_orphan(ops->arg, entry);
}

static void find_missing(struct gw_desired *self, const struct gw_desired_ops *ops)
{
    struct gw_entry *entry;
    struct field *field;
    size_t at = 0;

    while (!self->partial && (entry = gw_store_next(self->store, &at)) != NULL) {
        if (entry->owner == GW_OWNER_AGENT && map_get_text(self->fields, entry->id) == NULL)
            not_there(entry, ops);
    }
    at = 0;
    while (self->partial && (field = map_next(self->fields, &at, NULL, NULL)) != NULL) {
        entry = field->absent ? gw_store_find(self->store, GW_OWNER_AGENT, field->id) : NULL;
        if (entry != NULL)
            not_there(entry, ops);
    }
}

int gw_desired_apply(struct gw_desired *self, const struct sch_assign_head *head,
                     const struct gw_desired_ops *ops, struct gw_desired_sum *sum)
{
    int rc = take_all(self, head->epoch, ops);

    find_missing(self, ops);
    *sum = (struct gw_desired_sum){true, self->digest, self->count};
    if (rc != ERR_OK) {
        sum->known = false; /* the store is not what was counted */
        return rc;
    }
    gw_store_set_mark(self->store, (struct gw_mark){head->epoch, head->rev});
    return ERR_OK;
}
