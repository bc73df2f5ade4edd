/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's moves: modules/gateway/ assign (look, tail), desired (judge, apply), saver and
 * snapshot (save, begin), courier (report), provision (what is served).
 */
#include <string.h>

#include "tests/model/moves.h"

bool same_field(const struct field *a, const struct field *b)
{
    return a->there == b->there && a->rev == b->rev && a->gone == b->gone && a->hash == b->hash;
}

/* --- provision.c --- */

/* gw_provision_apply; the same spec again is only told again. */
static void provision_apply(const struct model *m, struct module *mod)
{
    uint8_t wanted = mod->known.entry.gone ? TEXT_NONE : mod->known.entry.spec;

    mod->again =
        mod->served != TEXT_NONE && mod->served == wanted && !protects(m, PROTECT_SAME_SPEC);
    mod->served = wanted;
    mod->due = true;
}

/* --- snapshot.c, saver.c --- */

/* gw_control_new: serves what the disk says before it ever sees a bus. */
void module_begin(const struct model *m, struct world *w)
{
    struct module *mod = &w->module;

    if (protects(m, PROTECT_LAST_KNOWN_GOOD))
        mod->known = w->disk;
    if (!protects(m, PROTECT_SAVED_MARK))
        mod->known.mark = (struct mark){0};
    if (mod->known.entry.there)
        provision_apply(m, mod);
}

/* The whole file, beside the loop. */
bool module_save(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (w->module.alive != 1 || memcmp(&w->disk, &w->module.known, sizeof(w->disk)) == 0)
        return false;
    w->disk = w->module.known;
    return true;
}

/* --- courier.c --- */

/* gw_courier_state: due until the entry is on the disk as it is now, then on the bus. */
bool module_report(const struct model *m, struct world *w, int arg)
{
    struct module *mod = &w->module;
    const struct field *entry = &mod->known.entry;
    enum report report = entry->gone ? REPORT_DELETED : REPORT_OK;
    uint8_t bit = (uint8_t)(1u << entry->rev);
    bool saved = same_field(&w->disk.entry, entry) && w->disk.epoch == mod->known.epoch;

    (void)arg;
    if (mod->alive != 1 || !mod->due || (!saved && protects(m, PROTECT_SAVED_BEFORE_REPORT)))
        return false;
    mod->due = false;
    w->bus.reports[report] |= bit;
    w->agent.reported[report] &= (uint8_t)~bit; /* this one is not read yet */
    return true;
}

/* --- desired.c --- */

/* gw_desired_is_stale: older than what was taken over is a replay. */
static bool is_stale(const struct model *m, const struct known *known, const struct head *head)
{
    return protects(m, PROTECT_NEWER_ONLY) &&
           (head->epoch < known->mark.epoch ||
            (head->epoch == known->mark.epoch && head->rev < known->mark.rev));
}

/* gw_desired_add: whether the field can be read; sch_assign_parse looks at the hash. */
static bool is_readable(const struct model *m, const struct field *field)
{
    return field->there && (field->spec == field->hash || !protects(m, PROTECT_FIELD_HASH));
}

/* gw_desired_judge: are the fields what the head says? */
static bool is_whole(const struct model *m, const struct field *field, const struct head *head)
{
    if (!protects(m, PROTECT_DIGEST))
        return true;
    return field->there == head->count && same_field(field, &head->digest) &&
           (!field->there || is_readable(m, field));
}

/* take_over: returns false for an older word under a newer head. */
static bool take_over(const struct model *m, struct module *mod, const struct field *field,
                      uint8_t epoch)
{
    struct known *k = &mod->known;
    bool same = k->entry.gone == field->gone && k->entry.hash == field->hash;

    if (k->entry.there && k->epoch == epoch && k->entry.rev == field->rev)
        return true; /* seen */
    if (k->entry.there && protects(m, PROTECT_NEWER_ONLY) &&
        (epoch < k->epoch || (epoch == k->epoch && field->rev < k->entry.rev)))
        return false;
    same = same && k->entry.there;
    k->entry = *field;
    k->epoch = epoch;
    if (same && protects(m, PROTECT_SAME_SPEC))
        mod->due = true;
    else
        provision_apply(m, mod);
    return true;
}

/* find_missing: absence deletes nothing, but forgets what is gone. */
static void find_missing(const struct model *m, struct module *mod)
{
    struct known *k = &mod->known;

    if (!k->entry.there)
        return;
    if (!k->entry.gone && protects(m, PROTECT_ONLY_GONE)) {
        mod->due = true; /* on_orphan */
        return;
    }
    mod->served = TEXT_NONE;
    mod->due = false;
    k->entry = (struct field){0};
    k->epoch = 0;
}

/* gw_desired_apply. */
static bool apply(const struct model *m, struct module *mod, const struct head *head)
{
    if (!is_readable(m, &mod->look_field))
        find_missing(m, mod);
    else if (!take_over(m, mod, &mod->look_field, head->epoch))
        return false;
    mod->known.mark = (struct mark){head->epoch, head->rev};
    return true;
}

/* --- assign.c: a look is not atomic --- */

static void end_look(struct module *mod)
{
    mod->looking = false;
    mod->look_field = (struct field){0};
    mod->look_head = (struct head){0};
}

/* Nothing changes; the agent shall write everything again. */
static void keep_all(const struct model *m, struct world *w)
{
    end_look(&w->module);
    if (!protects(m, PROTECT_RESYNC))
        return;
    w->bus.resync = true;
    w->bus.resync_mark = w->module.known.mark;
}

/* on_tail: the head once more decides. One that moved means another look. */
bool module_tail(const struct model *m, struct world *w, int arg)
{
    struct module *mod = &w->module;
    const struct head tail = w->bus.head;
    bool moved, good;

    (void)arg;
    if (mod->alive != 1 || !mod->looking)
        return false;
    moved = memcmp(&mod->look_head, &tail, sizeof(tail)) != 0;
    good = tail.there && !is_stale(m, &mod->known, &tail) && is_whole(m, &mod->look_field, &tail);
    if (!good && tail.there && moved)
        mod->wake = true;
    else if (!good || !apply(m, mod, &tail))
        keep_all(m, w);
    end_look(mod);
    return true;
}

/* start_look, on_head, on_page: the head, then the fields. */
static void read_fields(const struct model *m, struct world *w)
{
    struct module *mod = &w->module;

    mod->wake = false;
    if (!w->bus.head.there || is_stale(m, &mod->known, &w->bus.head)) {
        keep_all(m, w);
        return;
    }
    mod->looking = true;
    mod->look_head = w->bus.head;
    mod->look_field = w->bus.field;
}

/* At a wake, and every 30 s. */
bool module_look(const struct model *m, struct world *w, int arg)
{
    const struct module *mod = &w->module;

    if (mod->alive != 1 || mod->looking || !(mod->wake || protects(m, PROTECT_MODULE_LEVEL)))
        return false;
    read_fields(m, w);
    if (m->scene->quick_module) {
        (void)module_tail(m, w, arg);
        (void)module_save(m, w, arg);
        (void)module_report(m, w, arg);
    }
    return true;
}
