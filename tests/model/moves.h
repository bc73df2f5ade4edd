/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can happen in the world, one indivisible move each. A move says whether it is
 * possible now, and then does it; who moves next is decided by nobody, so all orders are explored.
 */
#ifndef TESTS_MODEL_MOVES_H
#define TESTS_MODEL_MOVES_H

#include <stddef.h>

#include "tests/model/world.h"

/* Returns false, and W is as it was, when it cannot happen now. ARG: the order, or 0. */
typedef bool move_fn(const struct model *m, struct world *w, int arg);

struct move {
    const char *text; /* what people read; %s is the order */
    move_fn *run;
    bool is_fault;
    bool per_order; /* one for each order */
};

extern const struct move moves[];
extern const size_t move_count;

/* agent.c */
move_fn agent_start, agent_take, agent_commit, agent_settle, agent_answer, agent_ack_early;
move_fn agent_mirror_write, agent_report_take, agent_report_ack, agent_resync_take, agent_renew;
move_fn agent_module_start;
/* module.c */
move_fn module_look, module_tail, module_save, module_report;
/* faults.c */
move_fn fault_agent_killed, fault_module_killed, fault_repeat, fault_lose, fault_flush;
move_fn fault_replica, fault_failover, fault_field_lost, fault_field_damaged, fault_reports;
move_fn fault_wake, fault_disk;

/* The module process begins: with what its disk says, or with nothing. */
void module_begin(const struct model *m, struct world *w);
/* What an agent writes for the store as it is (plan.c: head_of). */
struct head agent_head(const struct world *w);
bool same_field(const struct field *a, const struct field *b);

#endif
