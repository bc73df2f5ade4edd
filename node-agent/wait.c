/* SPDX-License-Identifier: Apache-2.0 */
/* A list of those who wait; looks only at what was touched. */
#include "node-agent/wait.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/err.h"
#include "node-agent/settle.h"

struct agent_wait {
    TAILQ_ENTRY(agent_wait) entry;
    struct agent_waits *all;
    struct agent_effect effect;
    bool touched;
    ev_timer timer;
    agent_wait_fn *on_done;
    void *arg;
};

struct agent_waits {
    struct ev_loop *loop;
    struct agent_core *core;
    TAILQ_HEAD(, agent_wait) list;
    bool hopeless;
};

int agent_waits_new(struct agent_waits **out, struct ev_loop *loop, struct agent_core *core)
{
    struct agent_waits *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->core = core;
    TAILQ_INIT(&self->list);
    *out = self;
    return ERR_OK;
}

void agent_waits_free(struct agent_waits *self)
{
    struct agent_wait *wait;

    if (self == NULL)
        return;
    while ((wait = TAILQ_FIRST(&self->list)) != NULL)
        agent_wait_cancel(wait);
    free(self);
}

void agent_wait_cancel(struct agent_wait *self)
{
    if (self == NULL)
        return;
    TAILQ_REMOVE(&self->all->list, self, entry);
    ev_timer_stop(self->all->loop, &self->timer);
    free(self);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_wait *self = w->data;
    agent_wait_fn *on_done = self->on_done;
    void *arg = self->arg;

    (void)loop;
    (void)revents;
    agent_wait_cancel(self);
    on_done(arg);
}

/* Through the timer, so that the callback never runs inside somebody else's commit. */
static void end_soon(struct agent_wait *self)
{
    ev_timer_stop(self->all->loop, &self->timer);
    ev_timer_set(&self->timer, 0.0, 0.0);
    ev_timer_start(self->all->loop, &self->timer);
}

/* Whether what SELF waits for is there. */
static bool is_done(const struct agent_wait *self)
{
    const struct agent_core *core = self->all->core;
    const struct agent_effect *effect = &self->effect;

    if (effect->module[0] != '\0')
        return core->is_replacing == NULL || !core->is_replacing(core->arg, effect->module);
    return agent_settle_is_done(self->all->core, effect->twin, effect->contract);
}

int agent_wait_start(struct agent_wait **out, struct agent_waits *all,
                     const struct agent_effect *effect, uint64_t limit_ms, agent_wait_fn *on_done,
                     void *arg)
{
    struct agent_wait *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->all = all;
    self->effect = *effect;
    self->on_done = on_done;
    self->arg = arg;
    ev_timer_init(&self->timer, on_timer, (double)limit_ms / 1000.0, 0.0);
    self->timer.data = self;
    TAILQ_INSERT_TAIL(&all->list, self, entry);
    if (all->hopeless || is_done(self))
        end_soon(self);
    else
        ev_timer_start(all->loop, &self->timer);
    *out = self;
    return ERR_OK;
}

void agent_waits_touch(struct agent_waits *self, const char *id)
{
    struct agent_wait *wait;
    const char *name;
    uint32_t twin;
    uint64_t contract;

    if (TAILQ_EMPTY(&self->list) || sch_workload_id_split(id, &twin, &contract, &name) != ERR_OK)
        return;
    TAILQ_FOREACH(wait, &self->list, entry)
    {
        if (wait->effect.twin == twin &&
            (wait->effect.contract == 0 || wait->effect.contract == contract))
            wait->touched = true;
    }
}

void agent_waits_touch_module(struct agent_waits *self, const char *module)
{
    struct agent_wait *wait;

    TAILQ_FOREACH(wait, &self->list, entry)
    {
        if (strcmp(wait->effect.module, module) == 0 && is_done(wait))
            end_soon(wait);
    }
}

void agent_waits_look(struct agent_waits *self)
{
    struct agent_wait *wait;

    TAILQ_FOREACH(wait, &self->list, entry)
    {
        if (!wait->touched)
            continue;
        wait->touched = false;
        if (is_done(wait))
            end_soon(wait);
    }
}

void agent_waits_set_hope(struct agent_waits *self, bool hope)
{
    struct agent_wait *wait;

    self->hopeless = !hope;
    if (hope)
        return;
    TAILQ_FOREACH(wait, &self->list, entry)
    end_soon(wait);
}
