/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zbus request under work. Ends twice: for its server once (answer or limit), for its method by
 * an answer.
 */
#include "bus/job.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"

struct bus_job {
    struct bus_job_config cfg; /* on_over NULL = nobody waits for the answer any more */
    struct bus_wire_request request;
    ev_timer limit;
    struct bus_tree *trees[BUS_WIRE_INPUTS_MAX]; /* decoded on demand */
    uint8_t bytes[];                             /* of the inputs */
};

/* msgpack nil: a void result that Go and Rust both decode. */
static const uint8_t void_result[] = {0xc0};

static void over(struct bus_job *self, struct bus_wire_response *response)
{
    struct bus_job_config cfg = self->cfg;

    ev_timer_stop(cfg.loop, &self->limit);
    self->cfg.on_over = NULL;
    memcpy(response->id, self->request.id, sizeof(response->id));
    if (cfg.on_over != NULL)
        cfg.on_over(cfg.arg, self, response, self->request.reply_to);
}

static void set_error(struct bus_wire_response *response, const char *text)
{
    response->failed = true;
    response->error = text[0] != '\0' ? text : "error";
    response->error_len = strlen(response->error);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_job *self = w->data;
    struct bus_wire_response response = {.data = void_result, .data_len = sizeof(void_result)};

    (void)loop;
    (void)revents;
    LOG_WARN("zbus call takes too long", KV_S("method", self->request.method),
             KV_S("id", self->request.id));
    set_error(&response, "timed out");
    over(self, &response);
}

static void copy_inputs(struct bus_job *self)
{
    uint8_t *at = self->bytes;

    for (size_t i = 0; i < self->request.input_count; i++) {
        struct bus_wire_input *input = &self->request.inputs[i];

        if (input->len > 0)
            memcpy(at, input->data, input->len);
        input->data = at;
        at += input->len;
    }
}

/* Our own limit, or what is left of the caller's time. */
static double seconds_left(const struct bus_job_config *cfg)
{
    uint64_t now = clock_unix_ms(), ends = cfg->request->deadline_ms;
    uint64_t left = ends > now ? ends - now : 0;

    return (ends != 0 && left < cfg->limit_ms ? (double)left : cfg->limit_ms) / 1000.0;
}

int bus_job_new(struct bus_job **out, const struct bus_job_config *cfg)
{
    struct bus_job *self;
    size_t bytes = 0;

    for (size_t i = 0; i < cfg->request->input_count; i++)
        bytes += cfg->request->inputs[i].len;
    self = calloc(1, sizeof(*self) + bytes);
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.request = NULL;
    self->request = *cfg->request;
    copy_inputs(self);
    ev_now_update(cfg->loop);
    ev_timer_init(&self->limit, on_limit, seconds_left(cfg), 0.0);
    self->limit.data = self;
    ev_timer_start(cfg->loop, &self->limit);
    *out = self;
    return ERR_OK;
}

void bus_job_detach(struct bus_job *self)
{
    ev_timer_stop(self->cfg.loop, &self->limit);
    self->cfg.on_over = NULL;
}

void bus_job_action(const struct bus_job *self, char *out, size_t cap)
{
    bool bare = self->request.version[0] == '\0';

    snprintf(out, cap, "[%s%s%s].%s()", self->request.object, bare ? "" : "@",
             self->request.version, self->request.method);
}

size_t bus_job_inputs(const struct bus_job *self)
{
    return self->request.input_count;
}

const struct bus_node *bus_job_input(struct bus_job *self, size_t i)
{
    const struct bus_wire_input *input;

    if (i >= self->request.input_count)
        return NULL;
    input = &self->request.inputs[i];
    if (self->trees[i] == NULL &&
        bus_tree_new(&self->trees[i], input->data, input->len, NULL) != ERR_OK)
        return NULL;
    return bus_tree_root(self->trees[i]);
}

const char *bus_job_id(const struct bus_job *self)
{
    return self->request.id;
}

bool bus_job_is_late(const struct bus_job *self)
{
    return self->cfg.on_over == NULL ||
           (self->request.deadline_ms != 0 && self->request.deadline_ms < clock_unix_ms());
}

/* The answer leaves, unless the time was over before; the job is gone. */
static void end(struct bus_job *self, struct bus_wire_response *response)
{
    over(self, response);
    for (size_t i = 0; i < self->request.input_count; i++)
        bus_tree_free(self->trees[i]);
    free(self);
}

void bus_job_answer(struct bus_job *self, const struct bus_pack *result, const char *error)
{
    struct bus_wire_response response = {.data = void_result, .data_len = sizeof(void_result)};

    if (result != NULL)
        response.data = bus_pack_data(result, &response.data_len);
    if (error != NULL)
        set_error(&response, error);
    if (result != NULL && (bus_pack_rc(result) != ERR_OK || response.data_len == 0)) {
        response.data = void_result;
        response.data_len = sizeof(void_result);
        set_error(&response, "the result is too large");
    }
    end(self, &response);
}

void bus_job_fail(struct bus_job *self, const char *text)
{
    struct bus_wire_response response = {.protocol = text, .protocol_len = strlen(text)};

    end(self, &response);
}

void bus_job_bad_input(struct bus_job *self, size_t i, const char *expected)
{
    char text[160];

    snprintf(text, sizeof(text), "invalid argument type [%zu] expecting %s got", i, expected);
    bus_job_fail(self, text);
}
