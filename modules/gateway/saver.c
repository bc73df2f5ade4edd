/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At most one thread, which lives for one write and touches nothing but its own copy of the text;
 * ev_async brings the news back to the loop.
 */
#include "modules/gateway/saver.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/backoff.h"
#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/log.h"
#include "modules/gateway/config.h"
#include "modules/gateway/snapshot.h"

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 30000
#define GATHER_S 0.005 /* changes of one burst share a write */

/* One write. */
struct job {
    bool whole;
    char *text; /* owned */
    size_t len;
    uint64_t up_to; /* the newest change in it */
};

struct gw_saver {
    struct ev_loop *loop;
    struct gw_store *store;
    void (*on_saved)(void *arg, uint64_t done);
    void *arg;
    char path[GW_PATH_MAX + sizeof(GW_SNAPSHOT_FILE) + 1];
    char boot[GW_BOOT_MAX];
    uint64_t asked; /* number of the newest change */
    uint64_t done;  /* newest change on the disk */
    bool held;
    bool anew;           /* the next write is of the whole */
    size_t whole_len;    /* bytes of the part that was written whole */
    size_t appended_len; /* bytes behind it */
    struct backoff backoff;
    ev_timer start; /* before the next write: gathering, or waiting after a failure */
    ev_async finished;
    /* the write under way; the thread owns job and rc until it says finished */
    pthread_t thread;
    bool writing;
    struct job job;
    int rc;
    int saved_errno;
};

static int write_job(const struct gw_saver *self, const struct job *job)
{
    return job->whole ? file_write(self->path, job->text, job->len)
                      : file_append(self->path, job->text, job->len);
}

static void *run_job(void *arg)
{
    struct gw_saver *self = arg;

    self->rc = write_job(self, &self->job);
    self->saved_errno = errno;
    ev_async_send(self->loop, &self->finished);
    return NULL;
}

/* What changed, as text; the store's touches are ours from here on. */
static int make_job(struct gw_saver *self, struct job *out)
{
    bool whole =
        self->anew || gw_store_touched_count(self->store) == SIZE_MAX ||
        (self->appended_len > GW_SNAPSHOT_TAIL_MIN && self->appended_len > self->whole_len);
    int rc;

    *out = (struct job){.whole = whole, .up_to = self->asked};
    rc = whole ? gw_snapshot_encode(self->store, self->boot, &out->text, &out->len)
               : gw_snapshot_encode_changes(self->store, &out->text, &out->len);
    if (rc == ERR_OK)
        gw_store_forget_touched(self->store);
    return rc;
}

/* JOB was written, or not; frees its text. */
static void end_job(struct gw_saver *self, struct job *job, int rc)
{
    free(job->text);
    job->text = NULL;
    self->anew = rc != ERR_OK; /* the touches are forgotten, and half of it may be there */
    if (rc != ERR_OK)
        return;
    self->done = job->up_to;
    if (job->whole) {
        self->whole_len = job->len;
        self->appended_len = 0;
    } else {
        self->appended_len += job->len;
    }
}

static void write_failed(struct gw_saver *self, int rc, int saved_errno)
{
    uint32_t wait_ms = backoff_next_ms(&self->backoff);

    errno = saved_errno;
    LOG_ERROR("cannot write the state file; changes are served but not yet reported",
              KV_S("file", self->path), KV_S("err", err_text(rc)), KV_N("retry_ms", wait_ms));
    ev_timer_stop(self->loop, &self->start);
    ev_timer_set(&self->start, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(self->loop, &self->start);
}

static void gather(struct gw_saver *self)
{
    if (self->held || self->writing || ev_is_active(&self->start) || self->done == self->asked)
        return;
    ev_timer_set(&self->start, GATHER_S, 0.0);
    ev_timer_start(self->loop, &self->start);
}

static void on_start(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_saver *self = w->data;
    int rc = make_job(self, &self->job);

    (void)loop;
    (void)revents;
    if (rc != ERR_OK) {
        write_failed(self, rc, ENOMEM);
        return;
    }
    rc = pthread_create(&self->thread, NULL, run_job, self);
    if (rc != 0) {
        end_job(self, &self->job, ERR_SYS);
        write_failed(self, ERR_SYS, rc);
        return;
    }
    self->writing = true;
}

/* Take the result of the finished thread over; returns its rc. */
static int collect(struct gw_saver *self)
{
    (void)pthread_join(self->thread, NULL); /* it is about to return */
    self->writing = false;
    end_job(self, &self->job, self->rc);
    return self->rc;
}

/* Not writing: gw_saver_flush was faster, and told nobody. */
static void on_finished(struct ev_loop *loop, ev_async *w, int revents)
{
    struct gw_saver *self = w->data;

    (void)loop;
    (void)revents;
    if (self->writing && collect(self) != ERR_OK) {
        write_failed(self, self->rc, self->saved_errno);
        return;
    }
    backoff_reset(&self->backoff);
    gather(self);
    self->on_saved(self->arg, self->done);
}

int gw_saver_new(struct gw_saver **out, struct ev_loop *loop, const struct gw_saver_config *cfg)
{
    struct gw_saver *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->store = cfg->store;
    self->on_saved = cfg->on_saved;
    self->arg = cfg->arg;
    self->anew = cfg->appendable == 0;
    self->whole_len = cfg->appendable;
    self->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    (void)snprintf(self->path, sizeof(self->path), "%s/%s", cfg->dir, GW_SNAPSHOT_FILE);
    (void)snprintf(self->boot, sizeof(self->boot), "%s", cfg->boot);
    ev_timer_init(&self->start, on_start, 0.0, 0.0);
    ev_async_init(&self->finished, on_finished);
    self->start.data = self;
    self->finished.data = self;
    ev_async_start(loop, &self->finished);
    *out = self;
    return ERR_OK;
}

void gw_saver_free(struct gw_saver *self)
{
    if (self == NULL)
        return;
    if (self->writing)
        (void)collect(self);
    ev_timer_stop(self->loop, &self->start);
    ev_async_stop(self->loop, &self->finished);
    free(self);
}

uint64_t gw_saver_ask(struct gw_saver *self)
{
    self->asked++;
    gather(self);
    return self->asked;
}

void gw_saver_hold(struct gw_saver *self, bool hold)
{
    self->held = hold;
    self->anew = true; /* what the other one wrote is not known */
    if (hold)
        ev_timer_stop(self->loop, &self->start);
    else
        gather(self);
}

int gw_saver_flush(struct gw_saver *self)
{
    struct job job;
    int rc;

    if (self->writing)
        (void)collect(self);
    if (self->held || self->done == self->asked)
        return ERR_OK;
    rc = make_job(self, &job);
    if (rc == ERR_OK) {
        rc = write_job(self, &job);
        end_job(self, &job, rc);
    }
    if (rc != ERR_OK)
        LOG_ERROR("cannot write the state file", KV_S("file", self->path),
                  KV_S("err", err_text(rc)));
    return rc;
}

uint64_t gw_saver_asked(const struct gw_saver *self)
{
    return self->asked;
}

uint64_t gw_saver_done(const struct gw_saver *self)
{
    return self->done;
}
