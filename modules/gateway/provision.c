/* SPDX-License-Identifier: Apache-2.0 */
/* One task per entry: when it begins, changes and ends. How it gets on is task.c's matter. */
#include "modules/gateway/provision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/task.h"
#include "modules/gateway/turn.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define DNS_RETRY_MIN_MS 2000
#define DNS_RETRY_MAX_MS 300000

static struct gw_task *obtain_task(struct gw_provisioner *self, struct gw_entry *entry)
{
    struct gw_task *task = entry->task;

    if (task != NULL)
        return task;
    task = calloc(1, sizeof(*task));
    if (task == NULL)
        return NULL;
    task->owner = self;
    task->entry = entry;
    task->result.created = clock_unix_ms() / 1000;
    task->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    ev_timer_init(&task->retry, gw_task_on_retry, 0.0, 0.0);
    task->retry.data = task;
    entry->task = task;
    return task;
}

static void free_task(struct gw_task *task)
{
    gw_task_stop_trying(task);
    gw_turn_leave(task);
    gw_wanted_deinit(&task->wanted);
    sch_result_deinit(&task->result);
    task->entry->task = NULL;
    free(task);
}

/*
 * What wants another name or port goes to the end of the line. A place that is not the one we gave
 * was brought along: from the state file, or by the process that served before us.
 */
static void take_place(struct gw_task *task, const struct gw_wanted *next)
{
    const struct gw_exposure *old = task->wanted.exposure;
    struct gw_entry *entry = task->entry;
    bool moved = old != NULL && (strcmp(old->host, next->exposure->host) != 0 ||
                                 (next->port != 0 && next->port != entry->port));

    if (entry->order == 0 || (moved && entry->order == task->order))
        entry->order = gw_store_next_order(task->owner->store);
    task->order = entry->order;
}

/*
 * Give up what the new spec no longer asks for; what stays the same stays held and served. A twin
 * with a new key proves its name again, and is served until the DNS says no.
 */
static void take_over(struct gw_task *task, struct gw_wanted *next)
{
    const struct gw_exposure *old = task->wanted.exposure, *x = next->exposure;
    bool same_host = old != NULL && strcmp(old->host, x->host) == 0;

    take_place(task, next);
    if (old != NULL && (!same_host || strcmp(task->wanted.twin_key, next->twin_key) != 0))
        task->entry->verified = false;
    if (old != NULL && !same_host && (old->kind == GW_KIND_TCP) != (x->kind == GW_KIND_TCP))
        gw_task_stop_serving(task);
    else if (old != NULL && !same_host)
        gw_task_unlist(task);
    if (!same_host)
        gw_task_release_host(task);
    if (x->kind != GW_KIND_TCP ||
        (next->port != 0 && task->has_port && task->entry->port != next->port)) {
        if (task->has_port)
            gw_task_stop_serving(task);
        gw_task_release_port(task);
    }
    gw_wanted_deinit(&task->wanted);
    task->wanted = *next;
    memcpy(task->hash, task->entry->hash, sizeof(task->hash));
}

static void refuse_spec(struct gw_task *task, const struct sch_report *report)
{
    char message[SCH_PATH_CAP + SCH_WHY_CAP + 4];

    gw_task_release_all(task);
    gw_wanted_deinit(&task->wanted);
    memcpy(task->hash, task->entry->hash, sizeof(task->hash));
    if (task->entry->owner == GW_OWNER_AGENT && report->path[0] != '\0')
        (void)snprintf(message, sizeof(message), "%s: %s", report->path, report->why);
    else
        (void)snprintf(message, sizeof(message), "%s", report->why);
    gw_task_fail(task, report->code, message);
}

static void apply_gone(struct gw_task *task)
{
    gw_task_release_all(task);
    gw_wanted_deinit(&task->wanted);
    task->entry->verified = false;
    gw_task_set(task, SCH_STATE_DELETED, SCH_OK, "");
    gw_task_tell(task);
}

/* From the start, whatever came before. */
static void apply(struct gw_task *task)
{
    struct gw_provisioner *self = task->owner;
    struct gw_entry *entry = task->entry;
    struct sch_report report = {0};
    struct gw_wanted next;

    gw_task_stop_trying(task);
    gw_turn_leave(task);
    if (entry->gone) {
        apply_gone(task);
        return;
    }
    if (gw_wanted_parse(&next, entry, self->config, &report) != ERR_OK) {
        refuse_spec(task, &report);
        return;
    }
    task->backoff = next.exposure->kind == GW_KIND_FQDN
                        ? backoff_init(DNS_RETRY_MIN_MS, DNS_RETRY_MAX_MS)
                        : backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    take_over(task, &next);
    gw_task_try(task);
}

void gw_provision_apply(struct gw_provisioner *self, struct gw_entry *entry)
{
    struct gw_task *task = obtain_task(self, entry);

    if (task == NULL)
        LOG_ERROR("out of memory; the exposure waits for the next look", KV_S("id", entry->id));
    else if (!entry->gone && task->wanted.exposure != NULL &&
             memcmp(task->hash, entry->hash, sizeof(task->hash)) == 0)
        gw_task_tell(task); /* the same again */
    else
        apply(task);
}

void gw_provision_refresh(struct gw_provisioner *self, struct gw_entry *entry)
{
    (void)self;
    if (entry->task != NULL)
        apply(entry->task);
}

void gw_provision_drop(struct gw_provisioner *self, struct gw_entry *entry)
{
    (void)self;
    if (entry->task == NULL)
        return;
    gw_task_release_all(entry->task);
    free_task(entry->task);
}

void gw_provision_keep_port(struct gw_provisioner *self, struct gw_entry *entry)
{
    struct gw_task *task;

    if (entry->gone || entry->port == 0)
        return;
    task = obtain_task(self, entry);
    if (task != NULL && gw_ports_take(self->ports, entry->port) == ERR_OK)
        task->has_port = true;
    else
        entry->port = 0; /* the range was changed */
}

/* Who has a name, a port or a key is decided by who comes first: as it was before. */
static void apply_in_order(struct gw_provisioner *self)
{
    size_t count;
    struct gw_entry **list = gw_store_in_order(self->store, &count);

    if (list == NULL)
        LOG_ERROR("out of memory; nothing is served until the next look");
    for (size_t i = 0; i < count; i++)
        gw_provision_apply(self, list[i]);
    free(list);
}

/* It comes late because of a key, but its place in the line for its host name is what it was. */
static void line_up(struct gw_provisioner *self, struct gw_entry *entry)
{
    struct gw_task *task = obtain_task(self, entry);

    if (task != NULL && gw_wanted_parse(&task->wanted, entry, self->config, NULL) == ERR_OK)
        gw_turn_wait(task);
}

void gw_provision_start(struct gw_provisioner *self)
{
    struct gw_entry *entry;
    size_t at = 0;

    while ((entry = gw_store_next(self->store, &at)) != NULL) {
        gw_provision_keep_port(self, entry);
        if (entry->late && !entry->gone)
            line_up(self, entry);
    }
    apply_in_order(self);
}

const struct sch_result *gw_provision_result(const struct gw_entry *entry)
{
    return entry->task != NULL ? &entry->task->result : NULL;
}

size_t gw_provision_free_ports(const struct gw_provisioner *self)
{
    return gw_ports_free_count(self->ports);
}

struct gw_entry *gw_provision_serving(const struct gw_provisioner *self, const char *id)
{
    struct gw_task *task = gw_task_holder(self, "id", id);

    return task != NULL ? task->entry : NULL;
}

struct gw_entry *gw_provision_holder(const struct gw_provisioner *self, const char *host)
{
    struct gw_task *task = gw_task_holder(self, "host", host);

    return task != NULL ? task->entry : NULL;
}

/* ---- life ---- */

int gw_provisioner_new(struct gw_provisioner **out, const struct gw_provisioner_config *cfg)
{
    struct gw_provisioner *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = cfg->loop;
    self->config = cfg->config;
    self->store = cfg->store;
    self->facts = cfg->facts;
    self->plane = cfg->plane;
    self->on_state = cfg->on_state;
    self->arg = cfg->arg;
    ev_timer_init(&self->wake, gw_turn_on_wake, 0.0, 0.0);
    self->wake.data = self;
    rc = map_new(&self->claims);
    if (rc != ERR_OK)
        goto free_self;
    rc = gw_ports_new(&self->ports, cfg->config->tcp_from, cfg->config->tcp_to);
    if (rc != ERR_OK)
        goto free_claims;
    rc = gw_verifier_new(&self->verifier, cfg->loop, cfg->config);
    if (rc != ERR_OK)
        goto free_ports;
    *out = self;
    return ERR_OK;

free_ports:
    gw_ports_free(self->ports);
free_claims:
    map_free(self->claims);
free_self:
    free(self);
    return rc;
}

void gw_provisioner_free(struct gw_provisioner *self)
{
    struct gw_entry *entry;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((entry = gw_store_next(self->store, &at)) != NULL) {
        if (entry->task != NULL)
            free_task(entry->task);
    }
    ev_timer_stop(self->loop, &self->wake);
    gw_verifier_free(self->verifier);
    gw_ports_free(self->ports);
    map_free(self->claims);
    free(self);
}
