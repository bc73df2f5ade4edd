/* SPDX-License-Identifier: Apache-2.0 */
/* The table of moves; the first part is also the order in which a quiet world goes on. */
#include "tests/model/moves.h"

/* clang-format off */
const struct move moves[] = {
    {"the agent starts",                                  agent_start,         false, false},
    {"the agent starts the module",                       agent_module_start,  false, false},
    {"the agent takes %s",                                agent_take,          false, true},
    {"the agent commits %s",                              agent_commit,        false, true},
    {"the agent settles %s, in a commit of its own",      agent_settle,        false, true},
    {"the agent answers %s",                              agent_answer,        false, true},
    {"the agent acknowledges %s too early",               agent_ack_early,     false, true},
    {"the agent writes the assignments",                  agent_mirror_write,  false, false},
    {"the module looks at the assignments",               module_look,         false, false},
    {"the module judges what it read",                    module_tail,         false, false},
    {"the module saves",                                  module_save,         false, false},
    {"the module reports",                                module_report,       false, false},
    {"the agent commits a report",                        agent_report_take,   false, false},
    {"the agent acknowledges the reports",                agent_report_ack,    false, false},
    {"the agent hears that the module wants everything",  agent_resync_take,   false, false},
    {"the agent begins a new epoch, as reports were lost", agent_renew,        false, false},

    {"FAULT: the agent is killed",                        fault_agent_killed,  true,  false},
    {"FAULT: the module is killed",                       fault_module_killed, true,  false},
    {"FAULT: %s comes again",                             fault_repeat,        true,  true},
    {"FAULT: the bus loses %s",                           fault_lose,          true,  true},
    {"FAULT: the bus is flushed",                         fault_flush,         true,  false},
    {"the replica of the bus stays behind",               fault_replica,       true,  false},
    {"FAULT: the replica takes over",                     fault_failover,      true,  false},
    {"FAULT: the bus loses the assignment",               fault_field_lost,    true,  false},
    {"FAULT: the assignment is damaged",                  fault_field_damaged, true,  false},
    {"FAULT: the bus loses the reports",                  fault_reports,       true,  false},
    {"FAULT: nobody hears the wake",                      fault_wake,          true,  false},
    {"FAULT: the agent's disk is lost",                   fault_disk,          true,  false},
};
/* clang-format on */

const size_t move_count = sizeof(moves) / sizeof(moves[0]);
