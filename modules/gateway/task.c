/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a try, and what a task holds while it serves. */
#include "modules/gateway/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/turn.h"

#define PORT_TRIES 16 /* ports that others may have bound, before a first one is given up on */
#define CLAIM_CAP (HOST_CAP + 8)

/* ---- how it stands ---- */

void gw_task_set(struct gw_task *task, enum sch_state state, enum sch_code error,
                 const char *message)
{
    struct sch_result *r = &task->result;

    r->state = state;
    r->error = error;
    r->retry_at = 0;
    (void)snprintf(r->message, sizeof(r->message), "%.*s", (int)sizeof(r->message) - 1, message);
    json_decref(r->data);
    r->data = task->wanted.exposure != NULL && state != SCH_STATE_DELETED
                  ? gw_facts_data(&task->owner->facts, &task->wanted, task->served)
                  : NULL;
}

void gw_task_tell(struct gw_task *task)
{
    const struct sch_result *r = &task->result;
    bool bad = r->error != SCH_OK;

    LOG_AT(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "exposure", KV_S("id", task->entry->id),
           KV_S("state", sch_state_text(r->state)),
           KV_S("host", task->wanted.exposure != NULL ? task->wanted.exposure->host : ""),
           KV_N("port", task->entry->port), KV_S("error", bad ? sch_code_text(r->error) : "none"),
           KV_S("message", r->message));
    task->owner->on_state(task->owner->arg, task->entry, r);
}

void gw_task_on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    gw_task_try(w->data);
}

/* Not now; again after a while. */
static void fail_for_now(struct gw_task *task, enum sch_state state, enum sch_code error,
                         const char *message)
{
    uint32_t wait_ms = backoff_next_ms(&task->backoff);

    gw_task_set(task, state, error, message);
    task->result.retry_at = (clock_unix_ms() + wait_ms + 999) / 1000;
    ev_timer_stop(task->owner->loop, &task->retry);
    ev_timer_set(&task->retry, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(task->owner->loop, &task->retry);
    gw_task_tell(task);
}

void gw_task_fail(struct gw_task *task, enum sch_code error, const char *message)
{
    gw_task_set(task, SCH_STATE_ERROR, error, message);
    gw_task_tell(task);
}

/* ---- what it holds ---- */

/* Another one has it: again after a while, or when that one gives it back. */
static void wait_for_turn(struct gw_task *task, enum sch_code error, const char *message)
{
    gw_turn_wait(task);
    fail_for_now(task, SCH_STATE_ERROR, error, message);
}

static int claim(struct gw_task *task, const char *kind, const char *name)
{
    struct gw_provisioner *self = task->owner;
    char key[GW_ID_MAX + CLAIM_CAP];

    (void)snprintf(key, sizeof(key), "%s %s", kind, name);
    if (map_get_text(self->claims, key) != NULL)
        return ERR_EXISTS;
    return map_put_text(self->claims, key, task, NULL);
}

static void release(struct gw_task *task, const char *kind, const char *name)
{
    char key[GW_ID_MAX + CLAIM_CAP];

    (void)snprintf(key, sizeof(key), "%s %s", kind, name);
    (void)map_remove_text(task->owner->claims, key);
}

struct gw_task *gw_task_holder(const struct gw_provisioner *self, const char *kind,
                               const char *name)
{
    char key[GW_ID_MAX + CLAIM_CAP];

    (void)snprintf(key, sizeof(key), "%s %s", kind, name);
    return map_get_text(self->claims, key);
}

void gw_task_unlist(struct gw_task *task)
{
    if (task->served && !task->unlisted)
        task->owner->plane.unlist(task->owner->plane.arg, task->entry->id);
    task->unlisted = task->served;
}

void gw_task_stop_serving(struct gw_task *task)
{
    if (task->served)
        (void)task->owner->plane.remove(task->owner->plane.arg, task->entry->id);
    task->served = task->unlisted = false;
}

void gw_task_release_host(struct gw_task *task)
{
    if (task->has_host) {
        release(task, "host", task->wanted.exposure->host);
        gw_turn_wake(task->owner);
    }
    task->has_host = false;
}

void gw_task_release_port(struct gw_task *task)
{
    if (task->has_port) {
        gw_ports_give(task->owner->ports, task->entry->port);
        gw_turn_wake(task->owner);
    }
    task->has_port = false;
    task->entry->port = 0;
}

void gw_task_release_all(struct gw_task *task)
{
    gw_task_stop_serving(task);
    gw_task_release_host(task);
    gw_task_release_port(task);
    if (task->has_id) {
        release(task, "id", task->entry->id);
        gw_turn_wake(task->owner);
    }
    task->has_id = false;
}

void gw_task_stop_trying(struct gw_task *task)
{
    gw_verify_cancel(task->verify);
    task->verify = NULL;
    ev_timer_stop(task->owner->loop, &task->retry);
}

/* ---- the steps of a try: each returns whether to go on ---- */

static bool take_names(struct gw_task *task)
{
    const char *host = task->wanted.exposure->host;
    char message[HOST_CAP + 64];

    if (!task->has_id && claim(task, "id", task->entry->id) != ERR_OK) {
        wait_for_turn(task, SCH_NAME_CONFLICT, "another owner serves a workload with this id");
        return false;
    }
    task->has_id = true;
    if (host[0] == '\0' || task->has_host)
        return true;
    if (!gw_turn_is_ours(task) || claim(task, "host", host) != ERR_OK) {
        (void)snprintf(message, sizeof(message), "domain already registered: %s", host);
        wait_for_turn(task, SCH_NAME_CONFLICT, message);
        return false;
    }
    task->has_host = true;
    return true;
}

/* A port that the contract names. */
static bool take_named_port(struct gw_task *task, uint16_t port)
{
    struct gw_provisioner *self = task->owner;
    char message[128];
    int rc;

    if (task->has_port && task->entry->port == port)
        return true;
    gw_task_release_port(task);
    rc = gw_turn_take_port(task, port);
    if (rc == ERR_OK) {
        task->entry->port = port;
        task->has_port = true;
        return true;
    }
    if (rc == ERR_INVALID) {
        (void)snprintf(message, sizeof(message), "port %u is not in this gateway's range %u-%u",
                       (unsigned)port, (unsigned)self->config->tcp_from,
                       (unsigned)self->config->tcp_to);
        gw_task_fail(task, SCH_OUT_OF_RANGE, message);
        return false;
    }
    (void)snprintf(message, sizeof(message), "port %u is taken", (unsigned)port);
    wait_for_turn(task, SCH_PORT_UNAVAILABLE, message);
    return false;
}

static bool take_any_port(struct gw_task *task)
{
    struct gw_provisioner *self = task->owner;

    if (task->has_port)
        return true;
    if (gw_ports_take_any(self->ports, &task->entry->port) == ERR_OK) {
        task->has_port = true;
        return true;
    }
    if (self->config->tcp_from == 0)
        gw_task_fail(task, SCH_PORT_UNAVAILABLE, "this gateway gives out no TCP ports (tcp-ports)");
    else
        wait_for_turn(task, SCH_PORT_UNAVAILABLE, "all ports of this gateway are given out");
    return false;
}

static void on_verified(void *arg, int rc, const char *why)
{
    struct gw_task *task = arg;
    char message[SCH_MESSAGE_CAP];

    task->verify = NULL;
    if (rc == ERR_OK) {
        task->entry->verified = true;
        gw_task_try(task);
        return;
    }
    if (rc == ERR_REFUSED) /* whoever was served on an older proof */
        gw_task_stop_serving(task);
    if (task->entry->owner == GW_OWNER_ZBUS)
        why = "failed to verify domain dns record: host doesn't point to the gateway ip";
    (void)snprintf(message, sizeof(message), "%s", why);
    fail_for_now(task, SCH_STATE_INIT, SCH_DOMAIN_NOT_HERE, message);
}

/* Zbus callers prove a name by its address, as in Zero-OS; only tenants have a key. */
static const char *proof_key(const struct gw_task *task)
{
    bool by_owner =
        task->owner->config->verify_fqdn == GW_VERIFY_OWNER && task->entry->owner == GW_OWNER_AGENT;

    return by_owner ? task->wanted.twin_key : NULL;
}

static bool prove(struct gw_task *task)
{
    struct gw_provisioner *self = task->owner;
    struct gw_verify_question question = {
        .host = task->wanted.exposure->host,
        .twin_key = proof_key(task),
        .on_done = on_verified,
        .arg = task,
    };
    int rc;

    if (task->wanted.exposure->kind != GW_KIND_FQDN || self->config->verify_fqdn == GW_VERIFY_NO ||
        task->entry->verified || (question.twin_key != NULL && gw_wanted_covered(&task->wanted)))
        return true;
    rc = gw_verify_start(&task->verify, self->verifier, &question);
    if (rc != ERR_OK) {
        fail_for_now(task, SCH_STATE_INIT, SCH_DOMAIN_NOT_HERE, err_text(rc));
        return false;
    }
    if (task->backoff.tries == 0) { /* later tries keep the state that says what is missing */
        gw_task_set(task, SCH_STATE_INIT, SCH_OK, "asking the DNS whose name it is");
        gw_task_tell(task);
    }
    return false;
}

/* Put the route in place, with the port that was given out. */
static int put_route(struct gw_task *task)
{
    struct gw_exposure *x = task->wanted.exposure;

    x->port = x->kind == GW_KIND_TCP ? task->entry->port : 0;
    free(x->urls); /* of a try with another port */
    x->urls = gw_facts_urls(&task->owner->facts, &task->wanted);
    return task->owner->plane.set(task->owner->plane.arg, x);
}

static bool port_is_others(int rc)
{
    return rc == ERR_EXISTS || (rc == ERR_SYS && (errno == EADDRINUSE || errno == EACCES));
}

/*
 * The first port of a workload that left the choice to us: one that another program holds is passed
 * over. Once it was told to the tenant it stays.
 */
static int put_on_free_port(struct gw_task *task)
{
    uint16_t tried[PORT_TRIES];
    size_t count = 0;
    int rc = put_route(task), saved = errno;

    while (port_is_others(rc) && count < PORT_TRIES) {
        uint16_t next = 0;

        tried[count++] = task->entry->port; /* stays taken meanwhile, or we would get it again */
        if (gw_ports_take_any(task->owner->ports, &next) != ERR_OK)
            break;
        task->entry->port = next;
        rc = put_route(task);
        saved = errno;
    }
    for (size_t i = 0; i < count; i++) {
        if (tried[i] != task->entry->port)
            gw_ports_give(task->owner->ports, tried[i]);
    }
    errno = saved;
    return rc;
}

static void route_failed(struct gw_task *task, int rc)
{
    bool tcp = task->wanted.exposure->kind == GW_KIND_TCP;
    enum sch_code code = SCH_STORAGE_ERROR;
    char message[SCH_MESSAGE_CAP];

    (void)snprintf(message, sizeof(message), "%s", err_text(rc));
    if (rc == ERR_LIMIT) {
        code = SCH_QUOTA_EXCEEDED;
        (void)snprintf(message, sizeof(message), "this gateway serves no more than %llu exposures",
                       (unsigned long long)task->owner->config->limits.exposures);
    } else if (tcp && (rc == ERR_EXISTS || rc == ERR_SYS)) {
        code = SCH_PORT_UNAVAILABLE;
        (void)snprintf(message, sizeof(message), "port %u: %s", (unsigned)task->entry->port,
                       rc == ERR_SYS ? strerror(errno) : "is taken");
    } else if (rc == ERR_EXISTS) {
        code = SCH_NAME_CONFLICT;
        (void)snprintf(message, sizeof(message), "domain already registered: %s",
                       task->wanted.exposure->host);
    }
    fail_for_now(task, SCH_STATE_ERROR, code, message);
}

static bool take_port(struct gw_task *task, bool *first)
{
    *first = false;
    if (task->wanted.exposure->kind != GW_KIND_TCP)
        return true;
    if (task->wanted.port != 0)
        return take_named_port(task, task->wanted.port);
    *first = !task->has_port;
    return take_any_port(task);
}

static void told_ok(struct gw_task *task)
{
    task->entry->late = task->wanted.exposure->foreign != 0;
    task->served = true;
    task->unlisted = false;
    backoff_reset(&task->backoff);
    if (task->wanted.exposure->paused)
        gw_task_set(task, SCH_STATE_PAUSED, SCH_OK, task->wanted.reason);
    else
        gw_task_set(task, SCH_STATE_OK, SCH_OK, "");
    gw_task_tell(task);
}

/* Served on an older proof: what it wants now, until the DNS says no. */
static void put_meanwhile(struct gw_task *task)
{
    if (task->served && !task->unlisted && task->verify != NULL)
        (void)put_route(task); /* on error the old route stays */
}

static void take_steps(struct gw_task *task)
{
    bool first;
    int rc;

    if (!take_names(task) || !take_port(task, &first))
        return;
    if (!prove(task)) {
        put_meanwhile(task);
        return;
    }
    rc = first ? put_on_free_port(task) : put_route(task);
    if (rc == ERR_OK) {
        told_ok(task);
        return;
    }
    if (first)
        gw_task_release_port(task); /* nobody was told of it */
    route_failed(task, rc);
}

void gw_task_try(struct gw_task *task)
{
    task->waiting = false;
    take_steps(task);
    if (task->unlisted) /* it cannot have its new name now, and no longer has the old one */
        gw_task_stop_serving(task);
}
