/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of `netwall`, one table a file; a NULL name ends each. */
#ifndef NODE_AGENT_CTL_GROUPS_H
#define NODE_AGENT_CTL_GROUPS_H

#include "node-agent/ctl/args.h"

extern const struct ctl_command ctl_key_commands[];       /* key.c: keygen pubkey */
extern const struct ctl_command ctl_sign_commands[];      /* sign.c: sign verify wrap */
extern const struct ctl_command ctl_statement_commands[]; /* statement.c: grant admit revoke ... */
extern const struct ctl_command ctl_contract_commands[];  /* contract.c: deploy update get ... */
extern const struct ctl_command ctl_delete_commands[];    /* delete.c: delete */
extern const struct ctl_command ctl_node_commands[];      /* node.c: node modules module twins */
extern const struct ctl_command ctl_state_commands[];     /* state.c: tunnels workloads usage */
extern const struct ctl_command ctl_watch_commands[];     /* watch.c: watch */

#endif
