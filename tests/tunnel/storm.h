/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storm: a connector's and a gateway's session in memory, the wires between them, and users who
 * do anything at any moment, all from one seed. storm.c plans and steps, storm_wire.c carries
 * bytes, storm_dial.c brings new wires, storm_cut.c ends them, storm_side.c is one session with its
 * clock, storm_user.c the visitors, storm_check.c what must hold. No sockets, no clock, no threads:
 * a seed gives the same run always.
 */
#ifndef TESTS_TUNNEL_STORM_H
#define TESTS_TUNNEL_STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/buf.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/session.h"

#define STORM_VISITORS 40
#define STORM_WIRES 12         /* with those that one end still believes in */
#define STORM_WAY (256u << 10) /* bytes a wire holds per direction */
#define STORM_NEVER UINT64_MAX
#define STORM_EXPOSURES 30
#define STORM_CALM_MS 60000 /* the calm must be over within this, and the resume window */

/* A claim about the core. One that does not hold ends the process; the runner names the seed. */
#define REQUIRE(claim)                                                                             \
    do {                                                                                           \
        if (!(claim))                                                                              \
            storm_fail(__FILE__, __LINE__, #claim);                                                \
    } while (0)
#define TRACE(storm, ...)                                                                          \
    do {                                                                                           \
        if (storm_trace) {                                                                         \
            fprintf(stderr, "%8llu ", (unsigned long long)(storm)->now_ms);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

struct storm;

/* One end of one visitor's stream, as its user sees it. */
struct visit {
    struct side *side;
    struct tun_stream *stream; /* NULL before it begins and after it ended */
    unsigned number;           /* of the visitor, from 1: the same at both ends */
    uint64_t to_send, sent;    /* bytes of the pattern */
    uint64_t received;
    bool began, accepted;
    bool again; /* the connector never heard of it: to be opened once more */
    bool cut;   /* ended before its time, by either side */
    bool done;  /* both directions ended in order */
};

/* One session and its owner. */
struct side {
    struct storm *storm;
    struct tun_session *session; /* NULL once it is over */
    enum tun_role role;
    struct visit visits[STORM_VISITORS + 2]; /* by number; 0 is not used */
    uint32_t session_window;
    unsigned opened;          /* gateway: visitors so far */
    unsigned again;           /* of these, to be opened once more */
    unsigned taken;           /* accepted links that are not lost */
    uint64_t alone_ms;        /* since when there is none */
    uint64_t frozen_ms;       /* the process stands still until then; 0 = it runs */
    unsigned thawed;          /* steps in which it reads all that there is, after that */
    uint64_t trouble_ms;      /* since when streams wait for a link; 0 = none does */
    unsigned goaways, closes; /* heard */
    bool goaway_said, close_said;
    bool leaving;         /* its session is being freed */
    unsigned told, heard; /* entries of the list of exposures: said last, heard so far */
    unsigned lists;       /* told (gateway), heard whole (connector) */
    bool list_whole;
};

/* One end of a wire. */
struct plug {
    struct tun_link *link; /* NULL: not plugged in, or lost */
    struct buf way;        /* sealed here, on its way to the other end */
    bool accepted;
    uint64_t notice_ms; /* when this end hears that the wire was cut */
};

/* One connection. */
struct wire {
    struct storm *storm;
    unsigned number; /* as the handshake said */
    bool laid;       /* at least one end believes in it */
    bool cut;        /* nothing is carried any more, but what was left on its way */
    bool damaged, rejected;
    uint64_t answer_ms;   /* when the gateway accepts or rejects */
    struct plug plugs[2]; /* by role */
};

/* What this seed is like. */
struct plan {
    bool gentle;    /* nobody resets, no window passes: everything must arrive */
    bool direct;    /* on_data takes bytes */
    bool patient;   /* the resume window is long: wires may die in silence */
    bool leaves;    /* somebody says GOAWAY once */
    bool exposes;   /* the gateway tells lists of exposures */
    unsigned aes;   /* suite */
    unsigned links; /* the connector wants so many */
    unsigned visitors;
    unsigned steps; /* until the calm */
    unsigned pause; /* between visitors, in steps */
    uint64_t size;  /* largest number of bytes a user sends */
    uint32_t resume_ms;
};

/* What happened, summed up by the runner: a storm without wind proves nothing. */
struct storm_sums {
    uint64_t seeds, bytes, cuts, resumes, moved, again, silent, overs, resets, rejects, steps;
};

struct storm {
    uint64_t random;
    uint64_t now_ms;
    struct plan plan;
    struct side sides[2]; /* by role */
    struct wire wires[STORM_WIRES];
    unsigned cuts_left;
    unsigned wires_laid;
    uint64_t dial_ms;   /* the connector may dial from then on */
    uint64_t freeze_ms; /* a process may freeze from then on */
    uint64_t calm_ms;   /* since when; 0 = it still blows */
    uint64_t moved;     /* counts everything that went on, to see standstill */
    struct storm_sums sums;
};

extern bool storm_trace; /* tell every event on stderr */

_Noreturn void storm_fail(const char *file, int line, const char *claim);

/* storm.c: chance. */
uint64_t storm_draw(struct storm *self);
/* 0 .. N-1; 0 when N is 0. */
uint64_t storm_below(struct storm *self, uint64_t n);
/* True once in N. */
bool storm_chance(struct storm *self, uint64_t n);
/* Sizes of every magnitude, at most MAX. */
uint64_t storm_size(struct storm *self, uint64_t max);
/* One seed from begin to end; adds to SUMS. */
void storm_run(uint64_t seed, struct storm_sums *sums);
/* The same, but both sessions are freed at a random moment. */
void storm_abandon(uint64_t seed);

/* storm_side.c */
void storm_side_init(struct side *self, struct storm *storm, enum tun_role role);
struct side *storm_other(struct side *self);
/* "c" or "g", for TRACE. */
char storm_letter(const struct side *self);
/* Tick what is due, see whether the session is over, say what this side has to say. */
void storm_side_step(struct side *self);
/* The session is over: its farewell is sent, it is freed, its wires are cut. */
void storm_side_over(struct side *self);
/* RC came back from a link of this side: whether the session is over now. */
bool storm_side_is_over(struct side *self, int rc);
/* One accepted link more or less. */
void storm_side_count(struct side *self, int change);
/* The earliest time at which something must happen here. */
uint64_t storm_side_next(const struct side *self);

/* storm_user.c */
extern const struct tun_session_ops storm_ops_direct, storm_ops_buffered;
/* A visitor comes; SIZE bytes either way, 0 = by chance. */
void storm_visit(struct storm *self, uint64_t size);
/* Those whose OPEN got lost come again. */
void storm_visit_again(struct storm *self);
/* A few users of this side read, write, answer, or go. */
void storm_users_step(struct side *self);
/* All users read and write as much as they can. */
void storm_users_hurry(struct side *self);
/* Before the clock jumps: nobody may stand still for long unless the plan wants it. */
void storm_users_nibble(struct side *self);

/* storm_wire.c */
void storm_wires_init(struct storm *self);
/* The side at which the wire has its end of ROLE. */
struct side *storm_end_of(const struct wire *wire, int role);
/* Seal, carry and feed on all wires, answer new ones, tell ends of cuts, tick. */
void storm_wires_step(struct storm *self);
/* The farewell of every link of this side goes on its way. */
void storm_wires_flush(struct side *side);
/* Nothing is on its way or waits to be sealed, and every wire is whole. */
bool storm_wires_quiet(const struct storm *self);
/* The same, but cut wires do not count. */
bool storm_wires_idle(const struct storm *self);
uint64_t storm_wires_next(const struct storm *self);

/* storm_dial.c */
/* The connector dials when it wants more links. */
void storm_wires_dial(struct storm *self);
bool storm_wires_wanted(const struct storm *self);
/* The gateway's word on a new link, when it is time. */
void storm_wire_answer(struct wire *wire);

/* storm_cut.c */
/* Chance cuts wires. */
void storm_wires_cut_some(struct storm *self);
/* Every wire of this side is cut, since its process is gone. */
void storm_wires_cut_all(struct side *side);
/* This end gives the wire up, without a word to the core: the other one hears of it, or not. */
void storm_wire_unplug(struct wire *wire, struct side *side);
/* The same with a word to the core. */
void storm_wire_lost(struct wire *wire, struct side *side);

/* storm_check.c */
/* So many lost links wait for a RESUME that a few more would end a session. */
bool storm_check_crowded(const struct storm *self);
/* What must hold at any moment. */
void storm_check_memory(const struct side *side);
/* Every visitor that was to come is over at both ends, and nothing is on its way. */
bool storm_check_ended(const struct storm *self);
/* What must hold at the end. */
void storm_check_result(struct storm *self);
/* LEN bytes of visitor NUMBER's pattern from OFFSET on, sent by FROM. */
void storm_pattern_fill(uint8_t *out, const struct visit *from, uint64_t offset, size_t len);
bool storm_pattern_fits(const uint8_t *data, const struct visit *to, size_t len);

#endif
