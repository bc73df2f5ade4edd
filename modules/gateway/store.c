/* SPDX-License-Identifier: Apache-2.0 */
/* A map from "<owner>/<id>" to entries. */
#include "modules/gateway/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

#define KEY_CAP (GW_ID_MAX + 2)

struct removed {
    enum gw_owner owner;
    char id[GW_ID_MAX];
};

struct gw_store {
    struct map *entries;
    struct gw_mark mark;
    uint64_t order; /* given out last */
    /* since the last save */
    TAILQ_HEAD(, gw_entry) touched;
    size_t touched_count;
    struct removed *removed; /* owned */
    size_t removed_count;
    size_t removed_cap;
    bool overlooked; /* no memory to note one */
};

bool gw_mark_before(const struct gw_mark *mark, uint64_t epoch, uint64_t rev)
{
    return epoch > mark->epoch || (epoch == mark->epoch && rev > mark->rev);
}

int gw_store_new(struct gw_store **out)
{
    struct gw_store *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->entries) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    TAILQ_INIT(&self->touched);
    *out = self;
    return ERR_OK;
}

static void entry_free(struct gw_entry *entry)
{
    assert(entry->task == NULL);
    free(entry->spec);
    free(entry);
}

void gw_store_free(struct gw_store *self)
{
    struct gw_entry *entry;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((entry = gw_store_next(self, &at)) != NULL)
        entry_free(entry);
    map_free(self->entries);
    free(self->removed);
    free(self);
}

static void print_key(char key[KEY_CAP], enum gw_owner owner, const char *id)
{
    (void)snprintf(key, KEY_CAP, "%c/%s", owner == GW_OWNER_AGENT ? 'a' : 'z', id);
}

struct gw_entry *gw_store_find(const struct gw_store *self, enum gw_owner owner, const char *id)
{
    char key[KEY_CAP];

    if (strlen(id) >= GW_ID_MAX)
        return NULL;
    print_key(key, owner, id);
    return map_get_text(self->entries, key);
}

static struct gw_entry *entry_new(enum gw_owner owner, const char *id)
{
    struct gw_entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL)
        return NULL;
    entry->spec = strdup("");
    if (entry->spec == NULL) {
        free(entry);
        return NULL;
    }
    entry->owner = owner;
    (void)snprintf(entry->id, sizeof(entry->id), "%s", id);
    return entry;
}

int gw_store_obtain(struct gw_store *self, struct gw_entry **out, enum gw_owner owner,
                    const char *id)
{
    struct gw_entry *entry;
    char key[KEY_CAP];

    if (id[0] == '\0' || strlen(id) >= GW_ID_MAX)
        return ERR_INVALID;
    *out = gw_store_find(self, owner, id);
    if (*out != NULL)
        return ERR_OK;
    entry = entry_new(owner, id);
    if (entry == NULL)
        return ERR_NOMEM;
    print_key(key, owner, id);
    if (map_put_text(self->entries, key, entry, NULL) != ERR_OK) {
        entry_free(entry);
        return ERR_NOMEM;
    }
    *out = entry;
    return ERR_OK;
}

/* ---- what the next save has to write ---- */

void gw_store_touch(struct gw_store *self, struct gw_entry *entry)
{
    if (entry->touched)
        return;
    entry->touched = true;
    TAILQ_INSERT_TAIL(&self->touched, entry, touches);
    self->touched_count++;
}

static void untouch(struct gw_store *self, struct gw_entry *entry)
{
    if (!entry->touched)
        return;
    entry->touched = false;
    TAILQ_REMOVE(&self->touched, entry, touches);
    self->touched_count--;
}

static bool make_room(struct gw_store *self)
{
    size_t cap = self->removed_cap > 0 ? 2 * self->removed_cap : 16;
    struct removed *more;

    if (self->removed_count < self->removed_cap)
        return true;
    more = realloc(self->removed, cap * sizeof(*more));
    if (more == NULL)
        return false;
    self->removed = more;
    self->removed_cap = cap;
    return true;
}

static void note_removed(struct gw_store *self, const struct gw_entry *entry)
{
    struct removed *removed;

    if (!make_room(self)) {
        self->overlooked = true;
        return;
    }
    removed = &self->removed[self->removed_count++];
    removed->owner = entry->owner;
    memcpy(removed->id, entry->id, sizeof(removed->id));
}

struct gw_entry *gw_store_next_touched(const struct gw_store *self, struct gw_entry *at)
{
    return at == NULL ? TAILQ_FIRST(&self->touched) : TAILQ_NEXT(at, touches);
}

const char *gw_store_next_removed(const struct gw_store *self, size_t *at, enum gw_owner *owner)
{
    if (*at >= self->removed_count)
        return NULL;
    *owner = self->removed[*at].owner;
    return self->removed[(*at)++].id;
}

size_t gw_store_touched_count(const struct gw_store *self)
{
    return self->overlooked ? SIZE_MAX : self->touched_count + self->removed_count;
}

void gw_store_forget_touched(struct gw_store *self)
{
    struct gw_entry *entry;

    while ((entry = TAILQ_FIRST(&self->touched)) != NULL)
        untouch(self, entry);
    free(self->removed);
    self->removed = NULL;
    self->removed_count = self->removed_cap = 0;
    self->overlooked = false;
}

/* ---- entries ---- */

void gw_store_remove(struct gw_store *self, struct gw_entry *entry)
{
    char key[KEY_CAP];

    untouch(self, entry);
    note_removed(self, entry);
    print_key(key, entry->owner, entry->id);
    (void)map_remove_text(self->entries, key);
    entry_free(entry);
}

int gw_entry_set_spec(struct gw_entry *entry, const char *spec, size_t len)
{
    char *copy;

    if (len > GW_SPEC_MAX)
        return ERR_LIMIT;
    copy = malloc(len + 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, spec, len);
    copy[len] = '\0';
    free(entry->spec);
    entry->spec = copy;
    entry->spec_len = len;
    return ERR_OK;
}

struct gw_entry *gw_store_next(const struct gw_store *self, size_t *at)
{
    return map_next(self->entries, at, NULL, NULL);
}

size_t gw_store_count(const struct gw_store *self)
{
    return map_count(self->entries);
}

uint64_t gw_store_next_order(struct gw_store *self)
{
    return ++self->order;
}

void gw_store_keep_order(struct gw_store *self, struct gw_entry *entry, uint64_t order)
{
    entry->order = order;
    if (order > self->order)
        self->order = order;
}

static int by_order(const void *a, const void *b)
{
    const struct gw_entry *x = *(struct gw_entry *const *)a, *y = *(struct gw_entry *const *)b;

    if (x->late != y->late)
        return x->late ? 1 : -1;
    if (x->order != y->order) /* 0 - 1 is the highest number */
        return x->order - 1 > y->order - 1 ? 1 : -1;
    if (x->owner != y->owner)
        return x->owner == GW_OWNER_AGENT ? -1 : 1;
    return strcmp(x->id, y->id);
}

struct gw_entry **gw_store_in_order(const struct gw_store *self, size_t *count)
{
    struct gw_entry **list = calloc(gw_store_count(self) + 1, sizeof(struct gw_entry *)), *entry;
    size_t at = 0;

    *count = 0;
    while (list != NULL && (entry = gw_store_next(self, &at)) != NULL)
        list[(*count)++] = entry;
    if (list != NULL)
        qsort(list, *count, sizeof(struct gw_entry *), by_order);
    return list;
}

struct gw_mark gw_store_mark(const struct gw_store *self)
{
    return self->mark;
}

void gw_store_set_mark(struct gw_store *self, struct gw_mark mark)
{
    self->mark = mark;
}
