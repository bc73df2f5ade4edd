/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines: which options a subcommand has, and what was given. Global options may stand
 * anywhere. Errors are printed here, with the usage of the subcommand.
 */
#ifndef NODE_AGENT_CTL_ARGS_H
#define NODE_AGENT_CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node-agent/ctl/ctl.h"

#define CTL_OPTIONS_MAX 12
#define CTL_VALUES_MAX 64 /* of one repeated option */
#define CTL_OPERANDS_MAX 3

struct ctl_args;

/* "--name VALUE" or "--name=VALUE"; a flag has no value. */
struct ctl_option {
    const char *name;  /* "key"; NULL ends the table */
    const char *value; /* "FILE"; NULL = flag */
    const char *help;
    bool required;
    bool repeat;
};

struct ctl_command {
    const char *name;
    const char *operands; /* "FILE", "COMMAND [FILE]"; "" = none */
    size_t operands_min;
    size_t operands_max;
    const char *about;                /* one line */
    const struct ctl_option *options; /* at most CTL_OPTIONS_MAX and the end; NULL = none */
    enum ctl_exit (*run)(struct ctl *ctl, const struct ctl_args *args);
};

struct ctl_args {
    const struct ctl_command *command;
    const char *values[CTL_OPTIONS_MAX][CTL_VALUES_MAX]; /* borrowed from argv */
    size_t counts[CTL_OPTIONS_MAX];
    const char *operands[CTL_OPERANDS_MAX];
    size_t operand_count;
    bool help;
};

/* Parse ARGV (without program and command name). Returns 0, or CTL_USAGE with the error printed. */
enum ctl_exit ctl_args_parse(struct ctl_args *out, struct ctl *ctl, char *const *argv);
/*
 * Take ARGV[0] (and its value) when it is a global option. Returns how many were taken, 0 when it
 * is none, -1 when its value is missing (printed).
 */
int ctl_args_global(struct ctl *ctl, char *const *argv);

/* The last value of option NAME; NULL when absent, "" for a flag that is there. */
const char *ctl_arg(const struct ctl_args *args, const char *name);
/* All values; *COUNT of them. */
const char *const *ctl_arg_all(const struct ctl_args *args, const char *name, size_t *count);
/* Value of a decimal option MIN..MAX into OUT, which stays as it is when absent. Returns 0, or
 * CTL_USAGE with the error printed. */
struct ctl_range {
    uint64_t min;
    uint64_t max;
};
enum ctl_exit ctl_arg_number(const struct ctl_args *args, const char *name, struct ctl_range range,
                             uint64_t *out);
/* Print what is wrong with the command line and how it goes; returns CTL_USAGE. */
enum ctl_exit ctl_usage(const struct ctl_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Usage line, description and options, on stdout. */
void ctl_help(const struct ctl_command *command);

#endif
