/* SPDX-License-Identifier: Apache-2.0 */
/* The line for host names and ports; see turn.h. */
#include "modules/gateway/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

/* The agent keeps its own tenants apart; from zbus callers they are kept apart here. */
static bool may_overlap(const struct gw_task *a, const struct gw_task *b)
{
    return a->entry->owner == b->entry->owner ||
           a->wanted.exposure->twin == b->wanted.exposure->twin;
}

/* Whether A and B cannot both have the host they want: the same, or "a.x" and "*.x". */
static bool compete(const struct gw_task *a, const struct gw_task *b)
{
    const char *x = a->wanted.exposure->host, *y = b->wanted.exposure->host;

    if (x[0] == '\0' || y[0] == '\0')
        return false;
    if (strcmp(x, y) == 0)
        return true;
    return (x[0] == '*' || y[0] == '*') && !may_overlap(a, b) &&
           strcmp(host_parent(x), host_parent(y)) == 0;
}

/* OTHER has TASK's host, or waits for it in front of TASK. */
static bool is_before(const struct gw_task *other, const struct gw_task *task)
{
    return other != NULL && other != task && other->wanted.exposure != NULL &&
           (other->has_host || (other->waiting && other->entry->order < task->entry->order)) &&
           compete(task, other);
}

/* Who is before TASK; NULL = nobody. Only wildcards and lines make us look at everybody. */
static struct gw_task *find_before(const struct gw_task *task)
{
    const struct gw_provisioner *self = task->owner;
    const char *host = task->wanted.exposure->host;
    struct gw_task *found = gw_task_holder(self, "host", host);
    char wild[HOST_CAP + 2];
    struct gw_entry *entry;
    size_t at = 0;

    if (found != NULL)
        return found;
    (void)snprintf(wild, sizeof(wild), "*.%s", host_parent(host));
    found = gw_task_holder(self, "host", wild);
    if (is_before(found, task))
        return found;
    if (host[0] != '*' && self->waiting == 0)
        return NULL;
    while ((entry = gw_store_next(self->store, &at)) != NULL) {
        if (is_before(entry->task, task))
            return entry->task;
    }
    return NULL;
}

/*
 * HOLDER's entry changed and is about to be applied, behind the one that asks: what it no longer
 * wants it gives back now, so that names and ports change hands within one turn of the loop.
 */
static bool gives_way(struct gw_task *holder)
{
    const struct gw_entry *entry = holder->entry;
    const struct gw_exposure *x;
    struct gw_wanted next;
    bool wants = false;

    if (memcmp(holder->hash, entry->hash, sizeof(holder->hash)) == 0)
        return false;
    if (gw_wanted_parse(&next, entry, holder->owner->config, NULL) == ERR_OK) {
        x = next.exposure;
        wants = strcmp(x->host, holder->wanted.exposure->host) == 0 &&
                (x->kind == GW_KIND_TCP) == holder->has_port &&
                (next.port == 0 || next.port == entry->port);
    }
    gw_wanted_deinit(&next);
    if (wants)
        return false;
    if (holder->has_port)
        gw_task_stop_serving(holder);
    else
        gw_task_unlist(holder);
    gw_task_release_host(holder);
    gw_task_release_port(holder);
    return true;
}

bool gw_turn_is_ours(struct gw_task *task)
{
    struct gw_task *before = find_before(task);

    while (before != NULL && before->has_host && gives_way(before))
        before = find_before(task);
    return before == NULL;
}

/* The task that has PORT; NULL when none of ours has. */
static struct gw_task *port_holder(const struct gw_provisioner *self, uint16_t port)
{
    struct gw_entry *entry;
    size_t at = 0;

    while ((entry = gw_store_next(self->store, &at)) != NULL) {
        if (entry->task != NULL && entry->task->has_port && entry->port == port)
            return entry->task;
    }
    return NULL;
}

int gw_turn_take_port(struct gw_task *task, uint16_t port)
{
    int rc = gw_ports_take(task->owner->ports, port);
    struct gw_task *holder = rc == ERR_EXISTS ? port_holder(task->owner, port) : NULL;

    if (holder != NULL && gives_way(holder))
        rc = gw_ports_take(task->owner->ports, port);
    return rc;
}

/* ---- waiting ---- */

void gw_turn_wait(struct gw_task *task)
{
    task->waiting = true;
    task->owner->waiting++; /* too many is fine: the next wake counts them again */
}

void gw_turn_leave(struct gw_task *task)
{
    if (task->waiting)
        gw_turn_wake(task->owner);
    task->waiting = false;
}

void gw_turn_wake(struct gw_provisioner *self)
{
    if (self->waiting == 0 || ev_is_active(&self->wake))
        return;
    ev_timer_set(&self->wake, 0.0, 0.0);
    ev_timer_start(self->loop, &self->wake);
}

/* Its turn has not come, so it need not be told again that it waits. */
static bool must_wait_on(const struct gw_task *task)
{
    const struct gw_exposure *x = task->wanted.exposure;

    return task->has_id && !task->has_host && x->host[0] != '\0' && find_before(task) != NULL;
}

void gw_turn_on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_provisioner *self = w->data;
    size_t count;
    struct gw_entry **list = gw_store_in_order(self->store, &count);

    (void)revents;
    for (size_t i = 0; i < count; i++) {
        struct gw_task *task = list[i]->task;

        if (task == NULL || !task->waiting || must_wait_on(task))
            continue;
        ev_timer_stop(loop, &task->retry);
        gw_task_try(task);
    }
    self->waiting = 0;
    for (size_t i = 0; i < count; i++)
        self->waiting += list[i]->task != NULL && list[i]->task->waiting;
    free(list);
}
