/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's moves: node-agent/ intake and feed (take, commit, answer, ack), deploy and settle
 * (what a commit does), plan and mirror (write), report (take, ack), supervise (module_start).
 */
#include <string.h>

#include "tests/model/moves.h"

/* --- life: agent.c, supervise.c --- */

/* A new epoch behind ABOVE and all of our own (agent_store_next_epoch, agent_plan_renew). */
static void next_epoch(const struct model *m, struct world *w, uint8_t above)
{
    if (!protects(m, PROTECT_EPOCH))
        return;
    w->store.epoch = (uint8_t)((above > w->store.epoch ? above : w->store.epoch) + 1);
    w->agent.epoch = w->store.epoch;
    if (w->clock < w->store.epoch)
        w->clock = w->store.epoch;
}

/* agent_new: lock_folder, open_store, agent_supervise_start. */
bool agent_start(const struct model *m, struct world *w, int arg)
{
    (void)arg;
    if (w->agent.alive > 0 && protects(m, PROTECT_AGENT_LOCK))
        return false; /* daemon_lock_dir */
    if (w->agent.alive > 1)
        return false;
    w->agent.alive++;
    next_epoch(m, w, w->store.epoch == 0 ? w->clock : 0);
    w->agent.sync = protects(m, PROTECT_AGENT_LEVEL); /* agent_plan_up */
    w->agent.has_module = w->module.alive > 0 && protects(m, PROTECT_ADOPT);
    return true;
}

/* supervise.c: a module that does not run is started; one that holds its lock was adopted. */
bool agent_module_start(const struct model *m, struct world *w, int arg)
{
    (void)arg;
    if (w->agent.alive == 0 || w->agent.has_module || w->module.alive > 1)
        return false;
    w->agent.has_module = true;
    w->module.alive++;
    if (w->module.alive == 1)
        module_begin(m, w);
    return true;
}

/* --- settle.c --- */

/* assign: the only writer of assignments. SPEC TEXT_NONE = gone. */
static void assign(struct store *s, uint8_t spec)
{
    s->assigned = (struct field){
        .there = true, .rev = ++s->rev, .gone = spec == TEXT_NONE, .hash = spec, .spec = spec};
    s->reported = false;
}

/* withdraw: gone is said until it is heard. */
static void withdraw(const struct model *m, struct store *s)
{
    if (!s->assigned.there || s->assigned.gone)
        return;
    if (protects(m, PROTECT_GONE_UNTIL_HEARD)) {
        assign(s, TEXT_NONE);
        return;
    }
    s->assigned = (struct field){0};
    s->rev++;
}

/* agent_settle_contract: level-triggered; twice changes nothing. */
static void settle_contract(const struct model *m, struct world *w)
{
    struct store *s = &w->store;

    if (s->ended) {
        withdraw(m, s);
        s->state = SHOWN_DELETED;
    } else if (!s->assigned.there || s->assigned.gone || s->assigned.hash != s->text) {
        assign(s, s->text);
        s->state = SHOWN_INIT;
    }
    w->agent.dirty = true;
}

/* --- deploy.c --- */

/* same_bytes: the idempotency key is (twin, contract, version, hash). */
static bool same_bytes(const struct model *m, const struct store *s, uint8_t text)
{
    return protects(m, PROTECT_SAME_BYTES) && s->text != TEXT_NONE &&
           version_of(text) == version_of(s->text) &&
           (text == s->text || !protects(m, PROTECT_HASH));
}

/* agent_deploy_take: check_version, and store unless nothing is new. */
static enum answer deploy_take(const struct model *m, struct store *s, uint8_t text, bool *changed)
{
    if (s->tombstone)
        return ANSWER_REFUSED; /* contract_deleted */
    if (same_bytes(m, s, text) && !s->ended)
        return ANSWER_ACCEPTED; /* unchanged */
    if (s->text != TEXT_NONE && !same_bytes(m, s, text) && protects(m, PROTECT_RISING_VERSION) &&
        version_of(text) <= version_of(s->text))
        return ANSWER_REFUSED; /* version_conflict */
    s->text = text;
    s->ended = false;
    *changed = true;
    return ANSWER_ACCEPTED;
}

/* agent_deploy_delete and agent_contract_end. */
static enum answer deploy_delete(const struct model *m, struct store *s, int version, bool *changed)
{
    if (s->tombstone)
        return ANSWER_ACCEPTED;
    if (s->text == TEXT_NONE)
        return ANSWER_REFUSED; /* unknown */
    if (version < version_of(s->text) && protects(m, PROTECT_DELETE_VERSION))
        return ANSWER_REFUSED; /* version_conflict */
    s->ended = true;
    s->tombstone = protects(m, PROTECT_TOMBSTONE);
    *changed = true;
    return ANSWER_ACCEPTED;
}

static enum answer change(const struct model *m, struct store *s, int order, bool *changed)
{
    if (is_deploy(order))
        return deploy_take(m, s, text_of(order), changed);
    return deploy_delete(m, s, order_version(order), changed);
}

/* --- intake.c, feed.c: from the list or stream to the answer --- */

/* What an earlier life left unacknowledged, or what is new: it stays on the bus until the ack. */
static bool take(const struct model *m, struct world *w, int order)
{
    struct bus *b = &w->bus;

    if (w->agent.alive != 1 || w->agent.stage[order] != JOB_NONE)
        return false;
    if (b->taken[order] == 0 && b->waiting[order] == 0)
        return false;
    if (b->taken[order] == 0) {
        b->waiting[order]--;
        b->taken[order] += protects(m, PROTECT_PENDING); /* else: BLPOP, and it is nowhere */
    }
    w->agent.stage[order] = JOB_TAKEN;
    return true;
}

bool agent_take(const struct model *m, struct world *w, int order)
{
    move_fn *const steps[] = {agent_commit, agent_settle, agent_answer};

    if (!take(m, w, order))
        return false;
    for (size_t i = 0; m->scene->quick_intake && i < sizeof(steps) / sizeof(steps[0]); i++)
        (void)steps[i](m, w, order);
    return true;
}

static void acknowledge(struct world *w, int order)
{
    if (w->bus.taken[order] > 0)
        w->bus.taken[order]--;
}

static void end_job(struct world *w, int order)
{
    acknowledge(w, order);
    w->agent.stage[order] = w->agent.answer[order] = 0;
}

/* agent_core_begin .. agent_core_end: one transaction, whole or not at all. */
bool agent_commit(const struct model *m, struct world *w, int order)
{
    bool early = !protects(m, PROTECT_COMMIT_BEFORE_ANSWER);
    bool whole = protects(m, PROTECT_TRANSACTION), changed = false;

    if (w->agent.stage[order] != (early ? JOB_ANSWERED : JOB_TAKEN))
        return false;
    w->agent.answer[order] = (uint8_t)change(m, &w->store, order, &changed);
    w->agent.stage[order] = changed && !whole ? JOB_STORED : JOB_COMMITTED;
    if (changed && whole)
        settle_contract(m, w);
    if (w->store.ended) {
        w->past.cancelled = true;
        w->past.safe = TEXT_NONE;
    }
    if (early)
        end_job(w, order);
    return true;
}

/* Without PROTECT_TRANSACTION: the second half of the commit. */
bool agent_settle(const struct model *m, struct world *w, int order)
{
    if (w->agent.stage[order] != JOB_STORED)
        return false;
    settle_contract(m, w);
    w->agent.stage[order] = JOB_COMMITTED;
    return true;
}

static void tell(struct past *past, enum answer answer, int order)
{
    uint8_t bit = (uint8_t)(1u << order);

    if (answer == ANSWER_ACCEPTED)
        past->accepted |= bit;
    else
        past->refused |= bit;
}

/* Answer and acknowledgement are one transaction of the bus. */
bool agent_answer(const struct model *m, struct world *w, int order)
{
    bool early = !protects(m, PROTECT_COMMIT_BEFORE_ANSWER), changed;
    struct store copy = w->store;

    if (w->agent.stage[order] != (early ? JOB_TAKEN : JOB_COMMITTED))
        return false;
    if (early)
        tell(&w->past, change(m, &copy, order, &changed), order);
    else
        tell(&w->past, w->agent.answer[order], order);
    if (early)
        w->agent.stage[order] = JOB_ANSWERED;
    else
        end_job(w, order);
    return true;
}

/* Without PROTECT_ACK_AFTER_COMMIT or _ANSWER. */
bool agent_ack_early(const struct model *m, struct world *w, int order)
{
    uint8_t stage = w->agent.stage[order];
    bool early = (stage == JOB_TAKEN && !protects(m, PROTECT_ACK_AFTER_COMMIT)) ||
                 (stage == JOB_COMMITTED && !protects(m, PROTECT_ACK_AFTER_ANSWER));

    if (!early || w->bus.taken[order] == 0)
        return false;
    acknowledge(w, order);
    return true;
}

/* --- plan.c, mirror.c: the desired state on the bus follows the store --- */

struct head agent_head(const struct world *w)
{
    const struct field *f = &w->store.assigned;
    struct head head = {.there = true, .epoch = w->agent.epoch, .rev = w->store.rev};

    head.count = f->there;
    head.digest = *f;
    head.digest.spec = 0;
    return head;
}

/* agent_mirror_compare: count of fields and head, not what the fields say. */
static bool differs(const struct world *w)
{
    struct head head = agent_head(w);

    return memcmp(&head, &w->bus.head, sizeof(head)) != 0 ||
           w->bus.field.there != w->store.assigned.there;
}

/* plan.c on_head: above the epoch of whoever wrote before us, if it was not us. */
static void raise_epoch(const struct model *m, struct world *w)
{
    const struct head *h = &w->bus.head;

    if (h->there &&
        (h->epoch > w->agent.epoch || (h->epoch == w->agent.epoch && !w->agent.written)))
        next_epoch(m, w, h->epoch);
    w->agent.written = true;
}

/* agent_mirror_sync, or the flush of what was touched: field and head in one MULTI, and a wake. */
bool agent_mirror_write(const struct model *m, struct world *w, int arg)
{
    struct agent *a = &w->agent;

    (void)arg;
    if (a->alive != 1 || !(a->dirty || a->sync || (protects(m, PROTECT_AGENT_LEVEL) && differs(w))))
        return false;
    raise_epoch(m, w);
    w->bus.field = w->store.assigned;
    w->bus.head = agent_head(w);
    w->module.wake = w->module.alive > 0;
    a->dirty = a->sync = false;
    return true;
}

/*
 * on_reports_lost, renew: a number is missing in the reports, or their group had to be made again.
 * Under a new epoch a module reports all it has once more.
 */
bool agent_renew(const struct model *m, struct world *w, int arg)
{
    (void)arg;
    if (w->agent.alive != 1 || !w->agent.reports_lost || !protects(m, PROTECT_RENEW))
        return false;
    w->agent.reports_lost = false;
    next_epoch(m, w, 0);
    w->agent.sync = true;
    return true;
}

/* --- report.c --- */

/* agent_workload_move: a line in the history when something is new. */
static void move_to_ok(const struct model *m, struct world *w)
{
    uint8_t *times = &w->past.times_ok[version_of(w->store.text)];

    if (w->store.state == SHOWN_OK && protects(m, PROTECT_SAME_RESULT))
        return;
    w->store.state = SHOWN_OK;
    w->past.safe = w->store.text;
    if (*times < 2)
        (*times)++;
}

/* apply_state: a report counts only for the newest rev. */
static void apply_state(const struct model *m, struct world *w, enum report report, unsigned rev)
{
    struct store *s = &w->store;

    if (!s->assigned.there || (rev != s->assigned.rev && protects(m, PROTECT_REPORT_REV)))
        return;
    if (!s->assigned.gone && report == REPORT_OK) {
        s->reported = true;
        move_to_ok(m, w);
    } else if (s->assigned.gone && report == REPORT_DELETED) {
        s->assigned = (struct field){0}; /* forget_assignment */
        s->rev++;
        w->agent.dirty = true;
        w->past.heard_deleted = true;
    }
}

/* One entry of the stream into the store; it stays on the bus until it is acknowledged. */
bool agent_report_take(const struct model *m, struct world *w, int arg)
{
    (void)arg;
    if (w->agent.alive != 1)
        return false;
    for (enum report r = 0; r < REPORTS; r++) {
        unsigned open = w->bus.reports[r] & ~w->agent.reported[r];

        if (open == 0)
            continue;
        apply_state(m, w, r, (unsigned)__builtin_ctz(open));
        w->agent.reported[r] |= (uint8_t)(open & -open);
        return true;
    }
    return false;
}

bool agent_report_ack(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if ((w->agent.reported[REPORT_OK] | w->agent.reported[REPORT_DELETED]) == 0)
        return false;
    for (enum report r = 0; r < REPORTS; r++) {
        w->bus.reports[r] &= (uint8_t)~w->agent.reported[r];
        w->agent.reported[r] = 0;
    }
    return true;
}

/* agent_plan_resync: a module that is ahead of our epoch moves it. */
bool agent_resync_take(const struct model *m, struct world *w, int arg)
{
    const struct mark mark = w->bus.resync_mark;

    (void)arg;
    if (w->agent.alive != 1 || !w->bus.resync)
        return false;
    if (mark.epoch > w->agent.epoch || (mark.epoch == w->agent.epoch && mark.rev > w->store.rev))
        next_epoch(m, w, mark.epoch);
    w->bus.resync = false;
    w->bus.resync_mark = (struct mark){0};
    w->agent.sync = true;
    return true;
}
