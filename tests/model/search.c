/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search. From every state the world is also let go on without faults until nothing changes:
 * every way there is fair, and as every state has one, every fair way leads to such a rest.
 */
#include "tests/model/search.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/map.h"
#include "tests/model/promises.h"

#define ROUNDS_MAX 60 /* of all moves, until a world without faults is at rest */

/* --- known states --- */

struct set {
    uint64_t *slots; /* 0 = free */
    uint32_t cap;    /* power of two */
    uint32_t count;
};

static uint64_t hash_of(const struct world *w)
{
    static const uint8_t key[16] = "netwall's model";

    return map_siphash(key, w, sizeof(*w)) | 1;
}

static bool put(struct set *set, uint64_t hash)
{
    uint32_t at = (uint32_t)(hash >> 20) & (set->cap - 1);

    while (set->slots[at] != 0 && set->slots[at] != hash)
        at = (at + 1) & (set->cap - 1);
    if (set->slots[at] == hash)
        return false;
    set->slots[at] = hash;
    set->count++;
    return true;
}

/* Returns false when it was known. */
static bool add(struct set *set, uint64_t hash)
{
    if (2 * set->count >= set->cap) {
        struct set wider = {.cap = set->cap > 0 ? 2 * set->cap : 1u << 14};

        wider.slots = calloc(wider.cap, sizeof(*wider.slots));
        assert(wider.slots != NULL);
        for (uint32_t i = 0; i < set->cap; i++) {
            if (set->slots[i] != 0)
                put(&wider, set->slots[i]);
        }
        free(set->slots);
        *set = wider;
    }
    return put(set, hash);
}

/* --- the tree of ways --- */

struct node {
    uint32_t parent;
    struct search_step step;
};

struct search {
    const struct model *m;
    struct set seen;
    struct set calm;    /* states from which the world comes to a good rest */
    struct node *nodes; /* in order of discovery */
    struct world *open; /* worlds of the nodes FIRST.. */
    uint32_t first, count, cap, open_cap;
    struct world now; /* of the node that is explored */
    struct search_result result;
};

static uint32_t depth_of(const struct search *s, uint32_t at)
{
    uint32_t depth = 0;

    for (; at != 0; at = s->nodes[at].parent)
        depth++;
    return depth;
}

static void push(struct search *s, uint32_t parent, struct search_step step, const struct world *w)
{
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? 2 * s->cap : 4096;
        s->nodes = reallocarray(s->nodes, s->cap, sizeof(*s->nodes));
    }
    if (s->count - s->first == s->open_cap) {
        s->open_cap = s->open_cap > 0 ? 2 * s->open_cap : 4096;
        s->open = reallocarray(s->open, s->open_cap, sizeof(*s->open));
    }
    assert(s->nodes != NULL && s->open != NULL);
    s->open[s->count - s->first] = *w;
    s->nodes[s->count++] = (struct node){parent, step};
}

/* The worlds before node AT are explored: their room is used again. */
static void forget_before(struct search *s, uint32_t at)
{
    memmove(s->open, s->open + (at - s->first), (s->count - at) * sizeof(*s->open));
    s->first = at;
}

static void broken_at(struct search *s, uint32_t at, const char *broken)
{
    struct search_result *r = &s->result;

    r->broken = broken;
    r->step_count = depth_of(s, at);
    assert(r->step_count <= SEARCH_STEPS_MAX);
    for (unsigned i = r->step_count; i > 0; i--) {
        r->steps[i - 1] = s->nodes[at].step;
        at = s->nodes[at].parent;
    }
}

/* --- without faults --- */

/* MOVE, once for each ARG that is possible. BEFORE is as W, and stays so. Returns false when the
 * way breaks a promise: the search comes there by itself. */
static bool go(const struct model *m, struct world *w, struct world *before,
               const struct move *move)
{
    for (int arg = 0; arg < (move->per_order ? ORDERS : 1); arg++) {
        if (!move->run(m, w, arg))
            continue;
        if (promise_broken_by(move, arg, before, w) != NULL)
            return false;
        *before = *w;
    }
    return true;
}

/* Every move that is no fault. */
static bool go_round(const struct model *m, struct world *w)
{
    struct world before = *w;

    for (size_t i = 0; i < move_count; i++) {
        if (!moves[i].is_fault && !go(m, w, &before, &moves[i]))
            return false;
    }
    return true;
}

/* What is broken once nothing happens any more. */
static const char *at_rest(struct search *s, struct world w)
{
    uint64_t way[ROUNDS_MAX];
    struct world before;
    const char *broken;

    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        way[round] = hash_of(&w);
        if (!add(&s->calm, way[round]))
            return NULL; /* this way was gone before */
        before = w;
        if (!go_round(s->m, &w))
            return NULL;
        if (memcmp(&before, &w, sizeof(w)) != 0)
            continue;
        broken = promise_broken_at_rest(&w);
        return broken;
    }
    return "without faults the world comes to no rest";
}

/* --- the search --- */

static struct world begin(const struct scene *scene)
{
    struct world w = {.left_in_all = scene->faults_in_all, .past.sent = scene->orders};

    memcpy(w.left, scene->faults, sizeof(w.left));
    for (int order = 0; order < ORDERS; order++)
        w.bus.waiting[order] = (scene->orders & (1u << order)) != 0;
    return w;
}

/* What can no longer matter is no difference between two worlds. */
static void forget_past(struct world *w)
{
    if (w->left_in_all == 0)
        memset(w->left, 0, sizeof(w->left));
    if (w->left[FAULT_FAILOVER] == 0)
        w->replica = (struct bus){0};
}

/* STEP led from node AT to AFTER. */
static void arrive(struct search *s, uint32_t at, struct search_step step, struct world *after)
{
    const char *broken = promise_broken_by(&moves[step.move], step.arg, &s->now, after);

    forget_past(after);
    if (!add(&s->seen, hash_of(after)) && broken == NULL)
        return;
    push(s, at, step, after);
    s->result.at_rest = broken == NULL;
    if (broken == NULL)
        broken = at_rest(s, *after);
    if (broken != NULL)
        broken_at(s, s->count - 1, broken);
}

/* All that can happen next in node AT. */
static void explore(struct search *s, uint32_t at)
{
    struct world after;

    s->now = after = s->open[at - s->first];
    for (uint8_t i = 0; i < move_count && s->result.broken == NULL; i++) {
        for (uint8_t arg = 0; arg < (moves[i].per_order ? ORDERS : 1); arg++) {
            if (!moves[i].run(s->m, &after, arg))
                continue;
            arrive(s, at, (struct search_step){i, arg}, &after);
            after = s->now;
        }
    }
}

struct search_result search_run(const struct model *m)
{
    struct search s = {.m = m};
    struct world first = begin(m->scene);

    add(&s.seen, hash_of(&first));
    push(&s, 0, (struct search_step){0}, &first);
    for (uint32_t at = 0; at < s.count && s.result.broken == NULL; at++) {
        if (at - s.first > 100000 && at - s.first > s.count - at)
            forget_before(&s, at);
        explore(&s, at);
    }
    s.result.states = s.count;
    s.result.depth = depth_of(&s, s.count - 1);
    free(s.seen.slots);
    free(s.calm.slots);
    free(s.nodes);
    free(s.open);
    return s.result;
}

/* --- for people --- */

static const char *const order_text[ORDERS] = {
    [DEPLOY_V1] = "deploy v1",
    [DEPLOY_V2] = "deploy v2",
    [DEPLOY_V2_OTHER] = "deploy v2 with other bytes",
    [DELETE_V1] = "delete v1",
    [DELETE_V2] = "delete v2",
};

void search_print(const struct model *m, const struct search_result *result)
{
    struct world w = begin(m->scene);

    printf("  (%s)\n", m->scene->name);
    for (unsigned i = 0; i < result->step_count; i++) {
        const struct search_step *step = &result->steps[i];
        const char *text = moves[step->move].text, *mark = strstr(text, "%s");

        (void)moves[step->move].run(m, &w, step->arg);
        if (mark == NULL)
            printf("  %2u %s\n", i + 1, text);
        else
            printf("  %2u %.*s%s%s\n", i + 1, (int)(mark - text), text, order_text[step->arg],
                   mark + 2);
    }
    printf("  => %s%s\n", result->at_rest ? "and in the end: " : "", result->broken);
    (void)fflush(stdout); /* a failing test ends its process */
}
