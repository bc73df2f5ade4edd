/* SPDX-License-Identifier: Apache-2.0 */
/* One function per method, as the reference's example server has them. */
#include "tests/bus/compat_server.h"

#include <ctype.h>
#include <ev.h>
#include <math.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/event.h"
#include "bus/serve.h"

#define TEXT_MAX 4096
#define NUMBERS_MAX 64

struct sleeper {
    TAILQ_ENTRY(sleeper) entry;
    struct compat_server *owner;
    struct bus_job *job;
    ev_timer timer;
};

struct compat_server {
    struct ev_loop *loop;
    struct bus_server *bus;
    struct bus_link *events;
    ev_timer tick;
    TAILQ_HEAD(, sleeper) sleepers;
    struct bus_object objects[2];
};

/* ---- calculator ---- */

/* All arguments as numbers; a list stands for its items, as a variadic method may be called either
 * way. Returns how many, or -1 after the job was answered. */
static int read_numbers(struct bus_job *job, double out[NUMBERS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < bus_job_inputs(job); i++) {
        const struct bus_node *node = bus_job_input(job, i);
        size_t items = bus_node_is_array(node) ? bus_node_count(node) : 1;

        for (size_t j = 0; j < items && n < NUMBERS_MAX; j++) {
            if (!bus_node_real(bus_node_is_array(node) ? bus_node_at(node, j) : node, &out[n++])) {
                bus_job_bad_input(job, i, "float64");
                return -1;
            }
        }
    }
    return (int)n;
}

/* One number, two (as a list), or one beside ERROR. */
static void answer_numbers(struct bus_job *job, const double *values, size_t count,
                           const char *error)
{
    struct bus_pack *pack = NULL;

    if (bus_pack_new(&pack) != ERR_OK) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    if (count > 1)
        bus_pack_array(pack, count);
    for (size_t i = 0; i < count; i++)
        bus_pack_real(pack, values[i]);
    bus_job_answer(job, pack, error);
    bus_pack_free(pack);
}

static void add(void *arg, struct bus_job *job)
{
    double in[NUMBERS_MAX], sum = 0.0;
    int n = read_numbers(job, in);

    (void)arg;
    for (int i = 0; i < n; i++)
        sum += in[i];
    if (n >= 0)
        answer_numbers(job, &sum, 1, NULL);
}

static void add_sub(void *arg, struct bus_job *job)
{
    double in[NUMBERS_MAX] = {0};

    (void)arg;
    if (read_numbers(job, in) >= 0)
        answer_numbers(job, (double[]){in[0] + in[1], in[0] - in[1]}, 2, NULL);
}

static void power(void *arg, struct bus_job *job)
{
    double in[NUMBERS_MAX] = {0}, result;

    (void)arg;
    if (read_numbers(job, in) < 0)
        return;
    result = pow(in[0], in[1]);
    answer_numbers(job, &result, 1, NULL);
}

static void divide(void *arg, struct bus_job *job)
{
    double in[NUMBERS_MAX] = {0}, result = 0.0;
    bool by_zero;

    (void)arg;
    if (read_numbers(job, in) < 0)
        return;
    by_zero = fpclassify(in[1]) == FP_ZERO;
    if (!by_zero)
        result = in[0] / in[1];
    answer_numbers(job, &result, 1, by_zero ? "division by zero" : NULL);
}

static void average(void *arg, struct bus_job *job)
{
    double in[NUMBERS_MAX], sum = 0.0;
    int n = read_numbers(job, in);

    (void)arg;
    for (int i = 0; i < n; i++)
        sum += in[i] / n;
    if (n >= 0)
        answer_numbers(job, &sum, 1, NULL);
}

static const struct bus_method calculator[] = {
    {.name = "Add", .inputs = 0, .run = add, .variadic = true},
    {.name = "AddSub", .inputs = 2, .run = add_sub},
    {.name = "Pow", .inputs = 2, .run = power},
    {.name = "Divide", .inputs = 2, .run = divide},
    {.name = "Avg", .inputs = 0, .run = average, .variadic = true},
};

/* ---- utils ---- */

static void capitalize(void *arg, struct bus_job *job)
{
    struct bus_pack *pack = NULL;
    char text[TEXT_MAX];

    (void)arg;
    if (!bus_node_copy(bus_job_input(job, 0), text, sizeof(text)) ||
        bus_pack_new(&pack) != ERR_OK) {
        bus_job_bad_input(job, 0, "string");
        return;
    }
    for (char *c = text; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    bus_pack_text(pack, text);
    bus_job_answer(job, pack, NULL);
    bus_pack_free(pack);
}

static void tuple(void *arg, struct bus_job *job)
{
    struct bus_pack *pack = NULL;

    (void)arg;
    if (bus_pack_new(&pack) != ERR_OK) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    bus_pack_array(pack, 3);
    bus_pack_i64(pack, 10);
    bus_pack_text(pack, "hello world");
    bus_pack_real(pack, 0.5);
    bus_job_answer(job, pack, NULL);
    bus_pack_free(pack);
}

/* The bytes of the reference, whose server survives it as well. */
static void panic(void *arg, struct bus_job *job)
{
    (void)arg;
    bus_job_fail(job, "remote method call utils@" COMPAT_VERSION ".Panic() paniced: Aaaaah!");
}

static void wake(struct sleeper *sleeper)
{
    TAILQ_REMOVE(&sleeper->owner->sleepers, sleeper, entry);
    ev_timer_stop(sleeper->owner->loop, &sleeper->timer);
    bus_job_answer(sleeper->job, NULL, NULL);
    free(sleeper);
}

static void on_awake(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    wake(w->data);
}

static void sleep_for(void *arg, struct bus_job *job)
{
    struct compat_server *self = arg;
    struct sleeper *sleeper;
    int64_t ns = 0;

    if (!bus_node_int(bus_job_input(job, 0), &ns)) {
        bus_job_bad_input(job, 0, "time.Duration");
        return;
    }
    sleeper = calloc(1, sizeof(*sleeper));
    if (sleeper == NULL) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    sleeper->owner = self;
    sleeper->job = job;
    TAILQ_INSERT_TAIL(&self->sleepers, sleeper, entry);
    ev_now_update(self->loop);
    ev_timer_init(&sleeper->timer, on_awake, ns > 0 ? (double)ns / 1e9 : 0.0, 0.0);
    sleeper->timer.data = sleeper;
    ev_timer_start(self->loop, &sleeper->timer);
}

static const struct bus_method utils[] = {
    {.name = "Capitalize", .inputs = 1, .run = capitalize},
    {.name = "Tuple", .inputs = 0, .run = tuple},
    {.name = "Panic", .inputs = 0, .run = panic},
    {.name = "Sleep", .inputs = 1, .run = sleep_for},
};

/* utils.TikTok: the time, to whoever listens. */
static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct compat_server *self = w->data;
    uint64_t now = clock_unix_ms();
    struct bus_pack *pack = NULL;
    char channel[BUS_KEY_CAP];
    const uint8_t *data;
    size_t len;

    (void)loop;
    (void)revents;
    if (bus_pack_new(&pack) != ERR_OK)
        return;
    bus_pack_time(pack, (int64_t)(now / 1000), (uint32_t)(now % 1000) * 1000000u);
    data = bus_pack_data(pack, &len);
    (void)bus_event_publish(
        self->events, bus_event_zbus(channel, COMPAT_MODULE, "utils", COMPAT_VERSION, "TikTok"),
        data, len); /* at most once: nobody misses it while the bus is down */
    bus_pack_free(pack);
}

/* ---- life ---- */

int compat_server_new(struct compat_server **out, const struct compat_server_config *cfg)
{
    struct compat_server *self = calloc(1, sizeof(*self));
    struct bus_link_config events = {.loop = cfg->loop, .url = cfg->url, .name = "events"};
    double tick = cfg->tick_s > 0.0 ? cfg->tick_s : 1.0;
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = cfg->loop;
    TAILQ_INIT(&self->sleepers);
    self->objects[0] = (struct bus_object){"calculator", COMPAT_VERSION, calculator, 5, self};
    self->objects[1] = (struct bus_object){"utils", COMPAT_VERSION, utils, 4, self};
    struct bus_server_config bus = {.loop = cfg->loop,
                                    .url = cfg->url,
                                    .prefix = "",
                                    .module = COMPAT_MODULE,
                                    .objects = self->objects,
                                    .object_count = 2,
                                    .workers = cfg->workers};
    ev_timer_init(&self->tick, on_tick, tick, tick);
    self->tick.data = self;
    rc = bus_link_new(&self->events, &events);
    if (rc == ERR_OK)
        rc = bus_server_new(&self->bus, &bus);
    if (rc != ERR_OK) {
        compat_server_free(self);
        return rc;
    }
    ev_timer_start(self->loop, &self->tick);
    *out = self;
    return ERR_OK;
}

void compat_server_free(struct compat_server *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->tick);
    bus_server_free(self->bus); /* answers below go nowhere */
    while (!TAILQ_EMPTY(&self->sleepers))
        wake(TAILQ_FIRST(&self->sleepers));
    bus_link_free(self->events);
    free(self);
}
