/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every subcommand of `netwall` shares: where the buses are, how to print, and the exit codes
 * (INTERFACE section 6).
 */
#ifndef NODE_AGENT_CTL_CTL_H
#define NODE_AGENT_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/name.h"

#define CTL_BUSES_MAX 64
#define CTL_BUS_DEFAULT "unix:///run/netwall/bus.sock"

enum ctl_exit {
    CTL_OK = 0,          /* done; for a deployment: all its workloads are ok */
    CTL_FAILED = 1,      /* our own machine failed: memory, disk */
    CTL_USAGE = 2,       /* the command line, or a file it names */
    CTL_REFUSED = 3,     /* the node, or we, said no */
    CTL_TIMEOUT = 4,     /* no answer in time */
    CTL_UNREACHABLE = 5, /* the bus cannot be reached */
    CTL_PENDING = 6,     /* accepted, but some workload is not (yet) in place */
};

struct ctl {
    bool json;                          /* machines read stdout */
    bool allow_group_key;               /* secret keys may be readable by their group */
    const char *prefix;                 /* of the keys on the bus; borrowed */
    const char *buses[CTL_BUSES_MAX];   /* URLs; borrowed from argv or the environment */
    struct bus_url urls[CTL_BUSES_MAX]; /* the same, parsed, once the command runs */
    size_t bus_count;                   /* 1..CTL_BUSES_MAX once the command runs */
};

/* Of two exit codes the one that matters more to whoever asked several nodes. */
enum ctl_exit ctl_worse(enum ctl_exit a, enum ctl_exit b);

#endif
