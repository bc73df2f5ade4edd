/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed is like, and its steps from the first dial to the calm. */
#include "tests/tunnel/storm.h"

#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"

#define CALM_STEPS_MAX 100000
#define JUMP_MAX_MS 1000

bool storm_trace;
static uint64_t seed_now;

_Noreturn void storm_fail(const char *file, int line, const char *claim)
{
    fprintf(stderr, "%s:%d: seed %llu: does not hold: %s\n", file, line,
            (unsigned long long)seed_now, claim);
    abort();
}

uint64_t storm_draw(struct storm *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random * UINT64_C(2685821657736338717) >> 11;
}

uint64_t storm_below(struct storm *self, uint64_t n)
{
    return n == 0 ? 0 : storm_draw(self) % n;
}

bool storm_chance(struct storm *self, uint64_t n)
{
    return storm_below(self, n) == 0;
}

uint64_t storm_size(struct storm *self, uint64_t max)
{
    uint64_t size = storm_below(self, UINT64_C(1) << storm_below(self, 22));

    return size > max ? max : size;
}

static void make_plan(struct storm *self)
{
    static const uint64_t sizes[] = {300, 4000, 4000, 60000, 60000, 60000, 400000, 1000000};
    struct plan *plan = &self->plan;

    plan->gentle = storm_chance(self, 2);
    plan->direct = storm_chance(self, 2);
    plan->patient = storm_chance(self, 2);
    plan->leaves = storm_chance(self, 4);
    plan->exposes = storm_chance(self, 4);
    plan->aes = (unsigned)storm_below(self, 2);
    plan->links = 1 + (unsigned)storm_below(self, 4);
    plan->visitors = 1 + (unsigned)storm_below(self, storm_chance(self, 3) ? STORM_VISITORS : 8);
    plan->steps = 20 + (unsigned)storm_below(self, 300);
    plan->pause = storm_chance(self, 4) ? 3 : 1 + plan->steps / (2 * plan->visitors);
    plan->size = sizes[storm_below(self, sizeof(sizes) / sizeof(sizes[0]))];
    plan->resume_ms = plan->patient ? 600000 : TUN_RESUME_MS;
    self->cuts_left = (unsigned)storm_below(self, storm_chance(self, 8) ? 40 : 14);
}

static void storm_init(struct storm *self, uint64_t seed)
{
    seed_now = seed;
    self->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 8; i++) /* seeds that are neighbours begin alike */
        (void)storm_draw(self);
    self->now_ms = 1000;
    self->wires_laid = 0;
    self->dial_ms = self->freeze_ms = self->calm_ms = self->moved = 0;
    memset(&self->sums, 0, sizeof(self->sums));
    make_plan(self);
    storm_wires_init(self);
    storm_side_init(&self->sides[TUN_CONNECTOR], self, TUN_CONNECTOR);
    storm_side_init(&self->sides[TUN_GATEWAY], self, TUN_GATEWAY);
    TRACE(self, "seed %llu: %s, %s, %u links, %u visitors, sizes to %llu, %u steps, %u cuts",
          (unsigned long long)seed, self->plan.gentle ? "gentle" : "rough",
          self->plan.patient ? "patient" : "10 s", self->plan.links, self->plan.visitors,
          (unsigned long long)self->plan.size, self->plan.steps, self->cuts_left);
}

static bool is_over(const struct storm *self)
{
    return self->sides[0].session == NULL && self->sides[1].session == NULL;
}

static bool one_is_over(const struct storm *self)
{
    return self->sides[0].session == NULL || self->sides[1].session == NULL;
}

static void open_visitors(struct storm *self)
{
    struct side *gateway = &self->sides[TUN_GATEWAY];

    if (gateway->session == NULL || gateway->frozen_ms != 0)
        return;
    if (tun_session_usable(gateway->session))
        storm_visit_again(self);
    while (gateway->opened < self->plan.visitors && tun_session_usable(gateway->session) &&
           (self->calm_ms != 0 || storm_chance(self, self->plan.pause)))
        storm_visit(self, 0);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Nothing moved: on to what happens next. */
static void jump(struct storm *self)
{
    uint64_t at = least(storm_side_next(&self->sides[0]), storm_side_next(&self->sides[1]));
    uint64_t to;

    to = least(at, storm_wires_next(self));
    to = least(to, self->now_ms + (storm_wires_idle(self) ? JUMP_MAX_MS : 20));
    if (to <= self->now_ms)
        to = self->now_ms + 1;
    if (to > self->now_ms + 100)
        for (int i = 0; i < 2; i++)
            storm_users_nibble(&self->sides[i]);
    self->now_ms = to;
}

static void step(struct storm *self)
{
    uint64_t moved = self->moved;

    self->sums.steps++;
    if (self->calm_ms == 0 && storm_chance(self, 4))
        self->now_ms += storm_below(self, 40);
    storm_wires_cut_some(self);
    storm_wires_dial(self);
    open_visitors(self);
    for (int i = 0; i < 2; i++) {
        if (self->calm_ms != 0)
            storm_users_hurry(&self->sides[i]);
        else
            storm_users_step(&self->sides[i]);
    }
    storm_wires_step(self);
    for (int i = 0; i < 2; i++)
        storm_side_step(&self->sides[i]);
    if (self->moved == moved)
        jump(self);
}

/* Nobody hesitates any more: all must be done soon. */
static void calm(struct storm *self)
{
    uint64_t steps = 0;

    self->calm_ms = self->now_ms;
    self->cuts_left = 0;
    TRACE(self, "calm");
    while (one_is_over(self) ? !is_over(self) : !storm_check_ended(self)) {
        step(self);
        REQUIRE(++steps < CALM_STEPS_MAX);
        REQUIRE(self->now_ms <
                self->calm_ms + STORM_CALM_MS + (self->plan.gentle ? 0 : self->plan.resume_ms));
    }
}

/* After all that happened a whole window, and more, still goes through both ways. */
static void probe(struct storm *self)
{
    uint64_t size = self->sides[0].session_window;

    if (size < self->sides[1].session_window)
        size = self->sides[1].session_window;
    if (one_is_over(self) || size > (160u << 10) || !tun_session_usable(self->sides[1].session) ||
        !storm_chance(self, 2))
        return;
    TRACE(self, "probe");
    storm_visit(self, size + size / 2);
    calm(self);
}

static void add(struct storm_sums *sums, const struct storm_sums *one)
{
    sums->seeds++;
    sums->bytes += one->bytes;
    sums->cuts += one->cuts;
    sums->resumes += one->resumes;
    sums->moved += one->moved;
    sums->again += one->again;
    sums->silent += one->silent;
    sums->overs += one->overs;
    sums->resets += one->resets;
    sums->rejects += one->rejects;
    sums->steps += one->steps;
}

static struct storm storm; /* too big for a stack; its wires keep their buffers */

void storm_abandon(uint64_t seed)
{
    uint64_t steps;

    storm_init(&storm, seed);
    steps = storm_below(&storm, storm.plan.steps);
    while (steps-- > 0 && !one_is_over(&storm))
        step(&storm);
    for (int i = 0; i < 2; i++)
        if (storm.sides[i].session != NULL)
            storm_side_over(&storm.sides[i]);
}

void storm_run(uint64_t seed, struct storm_sums *sums)
{
    storm_init(&storm, seed);
    for (unsigned i = 0; i < storm.plan.steps && !one_is_over(&storm); i++)
        step(&storm);
    calm(&storm);
    probe(&storm);
    storm_check_result(&storm);
    for (int i = 0; i < 2; i++)
        tun_session_free(storm.sides[i].session);
    add(sums, &storm.sums);
}
