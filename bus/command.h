/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands over plain lists, as Zero-OS 0-core had them (INTERFACE section 5): the intake of the
 * agent, and the client that pushes a command and waits. Payloads are bytes here; what they say is
 * the business of both ends. Commands wait in their list while nobody takes them; what was taken
 * stays in a list <list>:taken until its answer is on the bus, and is handed over again when its
 * taker died, or the link was lost, before that.
 */
#ifndef BUS_COMMAND_H
#define BUS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"

struct ev_loop;
struct bus_intake;  /* opaque: command.c; the server side */
struct bus_command; /* one command taken from a list */

#define BUS_COMMAND_MAX                                                                            \
    (1u << 20)                    /* bytes of a payload; longer ones are dropped with a log line   \
                                   */
#define BUS_COMMANDS_UNDER_WAY 64 /* default: taken and not yet answered */

struct bus_intake_config {
    struct ev_loop *loop;
    const struct bus_url *url; /* copied */
    const char *prefix;        /* copied */
    unsigned under_way; /* 0 = BUS_COMMANDS_UNDER_WAY; taking pauses at it, and while four times as
                         * many answers cannot leave */
    /*
     * One command; the handle is the owner's until bus_command_answer or bus_command_drop, exactly
     * one of which it calls, now or later.
     */
    void (*on_command)(void *arg, struct bus_command *command);
    void *arg;
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. on_command never runs inside, and may free the intake. */
int bus_intake_new(struct bus_intake **out, const struct bus_intake_config *cfg);
/*
 * Take no more commands; those under way can be answered, and one that the server hands out at this
 * moment goes back to its list. ON_IDLE (may be NULL) runs once, never inside, when all are
 * answered and the results left, or the bus is down.
 */
void bus_intake_drain(struct bus_intake *self, void (*on_idle)(void *arg));
/* Commands under way stay with their owner; their answers go nowhere, and they are handed over to
 * the next intake of these lists. NULL is fine. */
void bus_intake_free(struct bus_intake *self);

/* The payload: LEN bytes and a NUL behind; lives as long as the handle. */
const char *bus_command_payload(const struct bus_command *self, size_t *len);
/* It came from core:operator. */
bool bus_command_is_operator(const struct bus_command *self);
/* Say "taken": pushes result:<id>:flag. Once the id is known; ERR_INVALID unless bus_id_check. */
int bus_command_take(struct bus_command *self, const char *id);
/* It was taken before, and no answer came to the bus: it may have been worked on, or done. */
bool bus_command_is_again(const struct bus_command *self);
/*
 * Ask whether result:<id> exists (then the id is used up: DUPILICATE_ID). Returns 0 and ON_KNOWN
 * runs once, never inside, unless the command ended before; RC is 0 or an error of bus_reply_fn.
 * Or ERR_AGAIN (bus down), ERR_INVALID, ERR_LIMIT, ERR_NOMEM. One question at a time.
 */
typedef void bus_id_known_fn(void *arg, struct bus_command *command, int rc, bool used);
int bus_command_check_id(struct bus_command *self, const char *id, bus_id_known_fn *on_known,
                         void *arg);
/*
 * Push RESULT (LEN bytes of JSON) to result:<id> and let it and the flag list expire after 300 s;
 * the handle is gone. While the bus is down the result is kept for up to 300 s. ERR_INVALID (the
 * handle is gone too) unless bus_id_check.
 */
int bus_command_answer(struct bus_command *self, const char *id, const char *result, size_t len);
/* No answer is possible (no id): it is not handed over again; the handle is gone. */
void bus_command_drop(struct bus_command *self);

/* --- the client --- */

struct bus_ask {
    const struct bus_url *url;
    const char *prefix;
    bool to_operator;    /* core:operator instead of core:default */
    const char *id;      /* the id inside PAYLOAD */
    const char *payload; /* JSON text */
    size_t len;
    uint32_t timeout_ms; /* for everything together */
};

/*
 * Push a command and wait for its result; runs an event loop of its own until done. On 0 OUT is
 * malloc'd, NUL-terminated, the caller's. Else WHY tells: ERR_TIMEOUT (taken but not answered, or
 * not even taken; WHY says which), ERR_EOF (bus not reachable, or lost), ERR_AUTH, ERR_REFUSED (no
 * right to push), ERR_INVALID, ERR_NOMEM.
 */
int bus_ask(char **out, size_t *out_len, const struct bus_ask *ask, char why[BUS_WHY_MAX]);

#endif
