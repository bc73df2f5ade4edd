/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call waits for a line, pushes its request, then blocks that line until its answer or its time.
 */
#include "bus/call.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/link.h"
#include "bus/wire.h"

#define LINES_MAX 64
#define ERROR_CAP 1024 /* longer error texts are cut */
#define GRACE_MS 500   /* the server's own time limit answers first, then redis' */
#define POP_GRACE_MS 250

struct line;

struct bus_call {
    TAILQ_ENTRY(bus_call) entry; /* while it waits for a line */
    struct bus_caller *caller;
    struct line *line; /* NULL = waiting for one */
    ev_timer limit;
    uint64_t ends_ms;      /* monotonic */
    bool pushed;           /* the request is known to be queued */
    struct bus_pack *pack; /* the request */
    char queue[BUS_KEY_CAP];
    char id[37]; /* of the request, and its reply list */
    bus_answer_fn *on_answer;
    void *arg;
};

/* One connection; BLPOP blocks it, so it carries one call at a time. */
struct line {
    struct bus_caller *caller;
    struct bus_link *link; /* NULL = never needed so far */
    struct bus_call *call;
};

struct bus_caller {
    struct ev_loop *loop;
    struct bus_url url;
    TAILQ_HEAD(, bus_call) waiting;
    size_t waiting_count;
    unsigned line_count;
    struct line lines[];
};

static void assign(struct bus_caller *self);

/* Take the call off whatever it hangs on and free it. A line that still blocks for it redials. */
static void forget(struct bus_call *call)
{
    struct bus_caller *caller = call->caller;

    ev_timer_stop(caller->loop, &call->limit);
    if (call->line == NULL) {
        TAILQ_REMOVE(&caller->waiting, call, entry);
        caller->waiting_count--;
    } else {
        call->line->call = NULL;
        if (bus_link_in_flight(call->line->link) > 0)
            bus_link_redial(call->line->link);
    }
    bus_pack_free(call->pack);
    free(call);
}

/* The one way a call ends with an answer. CALL is gone before the callback runs. */
static void complete(struct bus_call *call, const struct bus_answer *answer)
{
    struct bus_caller *caller = call->caller;
    bus_answer_fn *on_answer = call->on_answer;
    void *arg = call->arg;

    forget(call);
    assign(caller);
    on_answer(arg, answer);
}

static void complete_rc(struct bus_call *call, int rc, const char *error)
{
    complete(call, &(struct bus_answer){.rc = rc, .error = error});
}

static void complete_response(struct bus_call *call, const struct bus_value *item)
{
    struct bus_wire_response response;
    struct bus_answer answer = {.error = ""};
    char text[ERROR_CAP];

    if (bus_wire_response_decode(&response, item->text, item->len) != ERR_OK ||
        strcmp(response.id, call->id) != 0) {
        complete_rc(call, ERR_PROTO, "the answer cannot be decoded");
        return;
    }
    answer.data = response.data;
    answer.data_len = response.data_len;
    answer.is_protocol = response.protocol != NULL;
    if (response.failed || answer.is_protocol) {
        size_t len = answer.is_protocol ? response.protocol_len : response.error_len;

        snprintf(text, sizeof(text), "%.*s", (int)(len < ERROR_CAP ? len : ERROR_CAP - 1),
                 answer.is_protocol ? response.protocol : response.error);
        answer.rc = ERR_REFUSED;
        answer.error = text;
    }
    complete(call, &answer);
}

static void on_pushed(void *arg, int rc, const struct bus_value *reply)
{
    struct line *line = arg;

    if (line->call == NULL)
        return;
    if (rc == ERR_OK)
        line->call->pushed = true;
    else
        complete_rc(line->call, rc, reply != NULL ? reply->text : err_text(rc));
}

static void on_popped(void *arg, int rc, const struct bus_value *reply)
{
    struct line *line = arg;

    if (line->call == NULL || (rc != ERR_OK && rc != ERR_REFUSED && rc != ERR_LIMIT))
        return; /* a lost link: on_up waits on, as the request is queued */
    if (rc != ERR_OK)
        complete_rc(line->call, rc, reply != NULL ? reply->text : err_text(rc));
    else if (reply->type == BUS_ARRAY && reply->count == 2 && reply->items[1].type == BUS_TEXT)
        complete_response(line->call, &reply->items[1]);
    else
        complete_rc(line->call, ERR_TIMEOUT, "no answer in time");
}

static int send_pop(struct line *line)
{
    uint64_t now = clock_mono_ms();
    uint64_t left = (line->call->ends_ms > now ? line->call->ends_ms - now : 1) + POP_GRACE_MS;
    char seconds[32];

    snprintf(seconds, sizeof(seconds), "%llu.%03llu", (unsigned long long)left / 1000,
             (unsigned long long)left % 1000);
    const struct bus_arg args[] = {bus_text("BLPOP"), bus_text(line->call->id), bus_text(seconds)};
    return bus_link_send(line->link,
                         &(struct bus_query){.args = args,
                                             .count = 3,
                                             .deadline_ms = (uint32_t)left + BUS_DEADLINE_MS,
                                             .on_reply = on_popped,
                                             .arg = line});
}

static int send_request(struct line *line)
{
    size_t len;
    const uint8_t *data = bus_pack_data(line->call->pack, &len);
    const struct bus_arg args[] = {bus_text("RPUSH"), bus_text(line->call->queue),
                                   BUS_BYTES(data, len)};

    return bus_link_send(
        line->link,
        &(struct bus_query){.args = args, .count = 3, .on_reply = on_pushed, .arg = line});
}

/* What does not leave for want of memory ends with the call's time. */
static void start_on(struct line *line)
{
    if (!bus_link_is_up(line->link))
        return; /* on_up comes back here */
    if (line->call->pushed || send_request(line) == ERR_OK)
        (void)send_pop(line);
}

static void on_up(void *arg)
{
    struct line *line = arg;

    if (line->call != NULL)
        start_on(line);
    else
        assign(line->caller);
}

static bool open_line(struct line *line)
{
    struct bus_link_config cfg = {.loop = line->caller->loop,
                                  .url = &line->caller->url,
                                  .name = "zbus calls",
                                  .on_up = on_up,
                                  .arg = line};

    return line->link != NULL || bus_link_new(&line->link, &cfg) == ERR_OK;
}

/* Give waiting calls to free lines. */
static void assign(struct bus_caller *self)
{
    for (unsigned i = 0; i < self->line_count && !TAILQ_EMPTY(&self->waiting); i++) {
        struct line *line = &self->lines[i];
        struct bus_call *call = TAILQ_FIRST(&self->waiting);

        if (line->call != NULL || !open_line(line) || bus_link_in_flight(line->link) > 0)
            continue;
        TAILQ_REMOVE(&self->waiting, call, entry);
        self->waiting_count--;
        call->line = line;
        line->call = call;
        start_on(line);
    }
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_call *call = w->data;
    bool down = call->line == NULL || !bus_link_is_up(call->line->link);

    (void)loop;
    (void)revents;
    complete_rc(call, ERR_TIMEOUT, down ? "the bus is not reachable" : "no answer in time");
}

int bus_caller_new(struct bus_caller **out, const struct bus_caller_config *cfg)
{
    unsigned lines = cfg->lines > 0 ? cfg->lines : BUS_CALL_LINES;
    struct bus_caller *self;

    if (lines > LINES_MAX || cfg->url == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self) + lines * sizeof(self->lines[0]));
    if (self == NULL)
        return ERR_NOMEM;
    self->loop = cfg->loop;
    self->url = *cfg->url;
    self->line_count = lines;
    TAILQ_INIT(&self->waiting);
    for (unsigned i = 0; i < lines; i++)
        self->lines[i].caller = self;
    *out = self;
    return ERR_OK;
}

void bus_caller_free(struct bus_caller *self)
{
    if (self == NULL)
        return;
    while (!TAILQ_EMPTY(&self->waiting))
        forget(TAILQ_FIRST(&self->waiting));
    for (unsigned i = 0; i < self->line_count; i++) {
        if (self->lines[i].call != NULL)
            forget(self->lines[i].call);
        bus_link_free(self->lines[i].link);
    }
    free(self);
}

static int encode(struct bus_call *call, const struct bus_call_config *cfg, uint32_t timeout_ms)
{
    struct bus_wire_request request = {.input_count = cfg->input_count,
                                       .deadline_ms = clock_unix_ms() + timeout_ms};

    bus_uuid_random(call->id);
    snprintf(request.id, sizeof(request.id), "%s", call->id);
    snprintf(request.reply_to, sizeof(request.reply_to), "%s", call->id);
    snprintf(request.object, sizeof(request.object), "%s", cfg->object);
    snprintf(request.version, sizeof(request.version), "%s", cfg->version);
    snprintf(request.method, sizeof(request.method), "%s", cfg->method);
    for (size_t i = 0; i < cfg->input_count; i++) {
        request.inputs[i].data = bus_pack_data(cfg->inputs[i], &request.inputs[i].len);
        if (bus_pack_rc(cfg->inputs[i]) != ERR_OK || request.inputs[i].len == 0)
            return ERR_INVALID;
    }
    bus_wire_request_encode(call->pack, &request);
    return bus_pack_rc(call->pack);
}

static int check(const struct bus_caller *caller, const struct bus_call_config *cfg)
{
    if (cfg->on_answer == NULL || cfg->input_count > BUS_WIRE_INPUTS_MAX ||
        strlen(cfg->module) > BUS_MODULE_MAX || strlen(cfg->object) > BUS_WIRE_NAME_MAX ||
        strlen(cfg->version) > BUS_MODULE_MAX || strlen(cfg->method) > BUS_WIRE_NAME_MAX)
        return ERR_INVALID;
    return caller->waiting_count < BUS_CALL_WAITING_MAX ? ERR_OK : ERR_LIMIT;
}

int bus_call_start(struct bus_call **out, struct bus_caller *caller,
                   const struct bus_call_config *cfg)
{
    uint32_t timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : BUS_CALL_TIMEOUT_MS;
    struct bus_call *call;
    int rc = check(caller, cfg);

    if (rc != ERR_OK)
        return rc;
    call = calloc(1, sizeof(*call));
    if (call == NULL)
        return ERR_NOMEM;
    rc = bus_pack_new(&call->pack);
    if (rc == ERR_OK)
        rc = encode(call, cfg, timeout_ms);
    if (rc != ERR_OK) {
        bus_pack_free(call->pack);
        free(call);
        return rc;
    }
    call->caller = caller;
    call->on_answer = cfg->on_answer;
    call->arg = cfg->arg;
    call->ends_ms = clock_mono_ms() + timeout_ms;
    bus_key_zbus(call->queue, cfg->module, cfg->object, cfg->version);
    ev_now_update(caller->loop);
    ev_timer_init(&call->limit, on_limit, (timeout_ms + GRACE_MS) / 1000.0, 0.0);
    call->limit.data = call;
    ev_timer_start(caller->loop, &call->limit);
    TAILQ_INSERT_TAIL(&caller->waiting, call, entry);
    caller->waiting_count++;
    *out = call;
    assign(caller);
    return ERR_OK;
}

void bus_call_cancel(struct bus_call *self)
{
    struct bus_caller *caller = self->caller;

    forget(self);
    assign(caller);
}
