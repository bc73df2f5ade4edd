/* SPDX-License-Identifier: Apache-2.0 */
/* Timers and the queue of what waits for the disk; everything else is asked for when it is said. */
#include "modules/gateway/courier.h"

#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "bus/name.h"
#include "modules/gateway/journal.h"
#include "modules/gateway/meter.h"
#include "modules/gateway/outbox.h"
#include "modules/gateway/report.h"

#define SENDER_LEN 8 /* random bytes that name this courier */
#define REPORTS_MAX 100000
#define EVENTS_MAX 10000
#define EVENTS_WAITING 1000 /* while the bus is down */
#define INFO_S 10.0
#define USAGE_S 5.0
#define LINK_EVENTS 20 /* per second; a network that breaks takes thousands of links with it */
#define OVER_KEEP                                                                                  \
    10000            /* ids that are over and may come back: their numbers stay, up to so many     \
                      */
#define OVER_MAX 256 /* of the others are let go per turn */

/* A report that waits until what it says is on the disk. */
struct due {
    STAILQ_ENTRY(due) entry;
    uint64_t save;
    char id[GW_ID_MAX];
};

STAILQ_HEAD(dues, due);

struct gw_courier {
    struct gw_courier_config cfg;
    char sender[2 * SENDER_LEN + 1]; /* of these reports; their usage is in the process' name */
    struct gw_outbox *reports;
    struct gw_outbox *events;
    struct gw_meter *meter;
    struct dues dues; /* in order of save */
    uint64_t number;  /* for what is never the same subject */
    size_t over;      /* ids that were over at the last turn */
    struct log_pace link_events;
    ev_timer info;
    ev_timer usage;
};

static void put_report(struct gw_courier *self, const char *kind, const char *id, char *body)
{
    char subject[GW_ID_MAX + 16];

    if (body == NULL)
        return; /* out of memory: the next one says it */
    (void)snprintf(subject, sizeof(subject), "%s/%s", kind, id);
    if (gw_outbox_put(self->reports, subject, body) != ERR_OK)
        LOG_WARN("a report is dropped", KV_S("kind", kind), KV_S("id", id));
}

/* Something that nothing later replaces. */
static void put_single(struct gw_courier *self, struct gw_outbox *outbox, char *body)
{
    char number[32];

    (void)snprintf(number, sizeof(number), "single/%llu", (unsigned long long)self->number++);
    if (body != NULL)
        (void)gw_outbox_put(outbox, number, body); /* full: the outbox counts it */
}

/* ---- states ---- */

static void report_state(struct gw_courier *self, const char *id)
{
    const struct gw_entry *entry = gw_store_find(self->cfg.store, GW_OWNER_AGENT, id);
    const struct sch_result *result = entry != NULL ? gw_provision_result(entry) : NULL;

    if (result == NULL)
        return;
    put_report(self, "state", id, gw_report_state(entry, result));
    if (result->state != SCH_STATE_DELETED)
        put_report(self, "online", id,
                   gw_report_online(id, gw_worker_online(self->cfg.worker, id), NULL));
}

void gw_courier_state(struct gw_courier *self, const struct gw_entry *entry, uint64_t save)
{
    struct due *due;

    if (save <= gw_saver_done(self->cfg.saver)) {
        report_state(self, entry->id);
        return;
    }
    due = calloc(1, sizeof(*due));
    if (due == NULL)
        return; /* the next look or reconnect reports it */
    due->save = save;
    (void)snprintf(due->id, sizeof(due->id), "%s", entry->id);
    STAILQ_INSERT_TAIL(&self->dues, due, entry);
}

void gw_courier_saved(struct gw_courier *self, uint64_t done)
{
    struct due *due = STAILQ_FIRST(&self->dues);

    if (due != NULL && due->save <= done)
        crash_at(CRASH_SAVED);
    while ((due = STAILQ_FIRST(&self->dues)) != NULL && due->save <= done) {
        STAILQ_REMOVE_HEAD(&self->dues, entry);
        report_state(self, due->id);
        free(due);
    }
}

/* ---- info ---- */

static void add_refused(void *arg, const char *reason, uint64_t count)
{
    (void)json_object_set_new(arg, reason, json_integer((json_int_t)count));
}

static void count_key(void *arg, const struct gw_session_info *session)
{
    char key[2 * GW_KEY_LEN + 1];
    json_int_t before;

    hex_encode(key, session->gateway_key, GW_KEY_LEN);
    before = json_integer_value(json_object_get(arg, key));
    (void)json_object_set_new(arg, key, json_integer(before + 1));
}

/* Sessions by which of our keys they were made with; those we answer to stand there with 0, too. */
static json_t *count_keys(const struct gw_courier *self)
{
    const struct gw_facts *facts = self->cfg.facts;
    json_t *counts = json_object();

    (void)json_object_set_new(counts, facts->public_key, json_integer(0));
    if (facts->next_key != NULL && facts->next_key[0] != '\0')
        (void)json_object_set_new(counts, facts->next_key, json_integer(0));
    gw_worker_each_session(self->cfg.worker, count_key, counts);
    return counts;
}

static void report_info(struct gw_courier *self)
{
    struct gw_report_info info = {
        .module = self->cfg.module,
        .instance = gw_journal_instance(self->cfg.journal),
        .facts = self->cfg.facts,
        .free_ports = gw_provision_free_ports(self->cfg.provisioner),
        .exposures = gw_worker_count_exposures(self->cfg.worker),
        .sessions = gw_worker_count_sessions(self->cfg.worker),
        .refused = json_object(),
        .gateway_keys = count_keys(self),
    };

    gw_worker_each_refused(self->cfg.worker, add_refused, info.refused);
    put_report(self, "info", "", gw_report_info(&info));
}

void gw_courier_info(struct gw_courier *self)
{
    report_info(self);
}

static void on_info(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    report_info(w->data);
}

/* ---- usage ---- */

/* Ids that are over and told: their numbers can go. */
struct over {
    struct gw_courier *courier;
    size_t seen; /* all that are over */
    char ids[OVER_MAX][GW_ID_MAX];
    size_t count; /* to be let go */
};

/* An id that comes back goes on where it was: its totals must not start anew. */
static bool may_go(const struct over *over, const char *id, const struct gw_usage *usage)
{
    return over->courier->over > OVER_KEEP + over->count && over->count < OVER_MAX &&
           usage->active == 0 && gw_meter_is_told(over->courier->meter, id, usage);
}

static void meter_one(void *arg, const char *id, const struct gw_usage *usage)
{
    struct over *over = arg;
    struct gw_courier *self = over->courier;
    const struct gw_entry *entry = gw_provision_serving(self->cfg.provisioner, id);

    over->seen += entry == NULL;
    if (entry != NULL && entry->owner != GW_OWNER_AGENT)
        return;
    gw_journal_note(self->cfg.journal, id, usage);
    if (!bus_link_is_up(self->cfg.link))
        return; /* totals only grow: nothing is lost by waiting */
    if (entry == NULL && may_go(over, id, usage))
        (void)snprintf(over->ids[over->count++], GW_ID_MAX, "%s", id);
    else
        gw_meter_add(self->meter, id, usage);
}

static void report_usage(struct gw_courier *self)
{
    struct over *over = calloc(1, sizeof(*over));

    if (over == NULL)
        return;
    over->courier = self;
    gw_worker_each_usage(self->cfg.worker, meter_one, over);
    gw_journal_flush(self->cfg.journal);
    gw_meter_flush(self->meter);
    self->over = over->seen;
    for (size_t i = 0; i < over->count; i++) {
        gw_worker_forget_usage(self->cfg.worker, over->ids[i]);
        gw_meter_forget(self->meter, over->ids[i]);
    }
    free(over);
}

static void on_usage(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    report_usage(w->data);
}

static void on_usage_report(void *arg, char *body)
{
    struct gw_courier *self = arg;

    put_single(self, self->reports, body); /* pieces cover different ids */
}

/* Pieces of what stays the same: one that still waits is not said twice. */
struct pieces {
    struct gw_courier *courier;
    unsigned count;
};

static void on_past_usage(void *arg, char *body)
{
    struct pieces *pieces = arg;
    char number[16];

    (void)snprintf(number, sizeof(number), "%u", pieces->count++);
    put_report(pieces->courier, "past", number, body);
}

/* ---- news ---- */

/* The agent knows its own workloads only. */
static bool is_agents(const struct gw_courier *self, const char *id)
{
    const struct gw_entry *entry = gw_provision_serving(self->cfg.provisioner, id);

    return entry != NULL && entry->owner == GW_OWNER_AGENT;
}

void gw_courier_online(struct gw_courier *self, const char *id, unsigned online)
{
    if (is_agents(self, id))
        put_report(self, "online", id, gw_report_online(id, online, NULL));
}

void gw_courier_error(struct gw_courier *self, const char *id, const struct gw_last_error *error)
{
    unsigned online = gw_worker_online(self->cfg.worker, id);

    if (is_agents(self, id))
        put_report(self, "error", id, gw_report_online(id, online, error));
}

void gw_courier_session(struct gw_courier *self, const struct gw_session_info *info, bool up,
                        const char *why)
{
    put_single(self, self->events, gw_report_tunnel_event(info, up, why, clock_unix_ms()));
}

void gw_courier_link(struct gw_courier *self, const struct gw_session_info *info,
                     const struct gw_link_news *news)
{
    uint32_t times;

    if (news->what == GW_LINK_UP)
        return; /* nothing to worry about */
    times = log_pace(&self->link_events, clock_mono_ms());
    if (times > 0)
        put_single(self, self->events,
                   gw_report_link_event(info, news, times - 1, clock_unix_ms()));
}

void gw_courier_resync(struct gw_courier *self, const char *why)
{
    put_report(self, "resync", "", gw_report_resync(gw_store_mark(self->cfg.store), why));
}

void gw_courier_replace_failed(struct gw_courier *self, const char *why)
{
    put_single(self, self->reports, gw_report_replace_failed(why));
}

void gw_courier_hush(struct gw_courier *self)
{
    ev_timer_stop(self->cfg.loop, &self->info);
    ev_timer_stop(self->cfg.loop, &self->usage);
    report_usage(self);
    gw_journal_close(self->cfg.journal);
}

size_t gw_courier_waiting(const struct gw_courier *self)
{
    return gw_outbox_waiting(self->reports) + gw_outbox_waiting(self->events);
}

void gw_courier_up(struct gw_courier *self)
{
    struct pieces past = {.courier = self};
    struct gw_entry *entry;
    size_t at = 0;

    report_info(self);
    gw_journal_each_past(self->cfg.journal, on_past_usage, &past);
    gw_meter_reset(self->meter);
    while ((entry = gw_store_next(self->cfg.store, &at)) != NULL) {
        if (entry->owner == GW_OWNER_AGENT)
            gw_courier_state(self, entry, gw_saver_asked(self->cfg.saver));
    }
    gw_outbox_up(self->reports);
    gw_outbox_up(self->events);
}

/* ---- life ---- */

static void start_timer(struct gw_courier *self, ev_timer *timer, double every,
                        void (*fn)(struct ev_loop *, ev_timer *, int))
{
    ev_timer_init(timer, fn, every, every);
    timer->data = self;
    ev_timer_start(self->cfg.loop, timer);
}

static int start_outboxes(struct gw_courier *self)
{
    const struct gw_courier_config *cfg = &self->cfg;
    size_t exposures = (size_t)cfg->facts->config->limits.exposures;
    char key[BUS_KEY_CAP];
    struct gw_outbox_config box = {.loop = cfg->loop, .link = cfg->link, .stream = key};
    int rc;

    (void)bus_key_report(key, cfg->prefix, cfg->module);
    box.stream_max = REPORTS_MAX;
    box.from = self->sender;
    box.max = 4 * exposures + 1000; /* state, online, error, and a few of each other kind */
    rc = gw_outbox_new(&self->reports, &box);
    if (rc != ERR_OK)
        return rc;
    (void)bus_key(key, cfg->prefix, BUS_KEY_EVENTS, NULL, NULL);
    box.stream_max = EVENTS_MAX;
    box.from = NULL;
    box.max = EVENTS_WAITING;
    return gw_outbox_new(&self->events, &box);
}

int gw_courier_new(struct gw_courier **out, const struct gw_courier_config *cfg)
{
    struct gw_courier *self = calloc(1, sizeof(*self));
    struct gw_meter_config meter = {.on_report = on_usage_report, .arg = self};
    uint8_t sender[SENDER_LEN];
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->link_events.lines_max = LINK_EVENTS;
    STAILQ_INIT(&self->dues);
    clock_random(sender, sizeof(sender));
    hex_encode(self->sender, sender, sizeof(sender));
    meter.instance = gw_journal_instance(cfg->journal);
    gw_journal_open(cfg->journal);
    start_timer(self, &self->info, INFO_S, on_info);
    start_timer(self, &self->usage, USAGE_S, on_usage);
    rc = gw_meter_new(&self->meter, &meter);
    if (rc == ERR_OK)
        rc = start_outboxes(self);
    if (rc != ERR_OK) {
        gw_courier_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_courier_free(struct gw_courier *self)
{
    struct due *due;

    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->info);
    ev_timer_stop(self->cfg.loop, &self->usage);
    while ((due = STAILQ_FIRST(&self->dues)) != NULL) {
        STAILQ_REMOVE_HEAD(&self->dues, entry);
        free(due);
    }
    if (self->meter != NULL && self->reports != NULL)
        report_usage(self); /* what a process that ends has no time to tell, the next one does */
    gw_journal_close(self->cfg.journal);
    gw_meter_free(self->meter);
    gw_outbox_free(self->reports);
    gw_outbox_free(self->events);
    free(self);
}
