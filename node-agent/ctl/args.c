/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines. */
#include "node-agent/ctl/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/ctl/say.h"

#define WHY_MAX 512

enum ctl_exit ctl_worse(enum ctl_exit a, enum ctl_exit b)
{
    static const int weight[] = {
        [CTL_OK] = 0,          [CTL_PENDING] = 1, [CTL_REFUSED] = 2, [CTL_TIMEOUT] = 3,
        [CTL_UNREACHABLE] = 4, [CTL_USAGE] = 5,   [CTL_FAILED] = 6,
    };

    return weight[a] >= weight[b] ? a : b;
}

static void print_usage(FILE *to, const struct ctl_command *command)
{
    fprintf(to, "usage: netwall [--bus URL] [--prefix P] [--json] %s", command->name);
    for (const struct ctl_option *o = command->options; o != NULL && o->name != NULL; o++)
        fprintf(to, " %s--%s%s%s%s%s", o->required ? "" : "[", o->name, o->value != NULL ? " " : "",
                o->value != NULL ? o->value : "", o->required ? "" : "]", o->repeat ? "..." : "");
    fprintf(to, "%s%s\n", command->operands[0] != '\0' ? " " : "", command->operands);
}

enum ctl_exit ctl_usage(const struct ctl_command *command, const char *fmt, ...)
{
    char why[WHY_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, ap); /* cut when too long */
    va_end(ap);
    ctl_say("%s: %s", command->name, why);
    print_usage(stderr, command);
    return CTL_USAGE;
}

void ctl_help(const struct ctl_command *command)
{
    print_usage(stdout, command);
    printf("\n%s\n", command->about);
    if (command->options != NULL)
        printf("\n");
    for (const struct ctl_option *o = command->options; o != NULL && o->name != NULL; o++)
        printf("  --%s%s%s\n        %s%s\n", o->name, o->value != NULL ? " " : "",
               o->value != NULL ? o->value : "", o->help, o->repeat ? " (repeatable)" : "");
}

/* ARGV[0] is "--NAME VALUE" or "--NAME=VALUE": how many words it takes, and the value; 0 = another
 * option. Without a value after it *VALUE is NULL. */
static int match(char *const *argv, const char *name, const char **value)
{
    size_t len = strlen(name);

    if (strncmp(argv[0], "--", 2) != 0 || strncmp(argv[0] + 2, name, len) != 0)
        return 0;
    if (argv[0][2 + len] == '=') {
        *value = argv[0] + 2 + len + 1;
        return 1;
    }
    if (argv[0][2 + len] != '\0')
        return 0;
    *value = argv[1];
    return argv[1] != NULL ? 2 : 1;
}

static int missing_value(const char *name)
{
    fprintf(stderr, "netwall: --%s needs a value\n", name);
    return -1;
}

int ctl_args_global(struct ctl *ctl, char *const *argv)
{
    const char *value;
    int taken;

    if (strcmp(argv[0], "--json") == 0) {
        ctl->json = true;
        return 1;
    }
    if (strcmp(argv[0], "--allow-group-key") == 0) {
        ctl->allow_group_key = true;
        return 1;
    }
    taken = match(argv, "prefix", &value);
    if (taken > 0) {
        if (value == NULL)
            return missing_value("prefix");
        ctl->prefix = value;
        return taken;
    }
    taken = match(argv, "bus", &value);
    if (taken == 0)
        return 0;
    if (value == NULL)
        return missing_value("bus");
    if (ctl->bus_count == CTL_BUSES_MAX) {
        fprintf(stderr, "netwall: at most %d times --bus\n", CTL_BUSES_MAX);
        return -1;
    }
    ctl->buses[ctl->bus_count++] = value;
    return taken;
}

/* Index of option NAME; CTL_OPTIONS_MAX when there is none. */
static size_t find(const struct ctl_command *command, const char *name)
{
    for (size_t i = 0; command->options != NULL && command->options[i].name != NULL; i++) {
        if (strcmp(command->options[i].name, name) == 0)
            return i;
    }
    return CTL_OPTIONS_MAX;
}

/* Take ARGV[0] as an option of the command. Returns as ctl_args_global. */
static int take_option(struct ctl_args *args, char *const *argv)
{
    const struct ctl_option *options = args->command->options;

    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        const char *value = "";
        int taken = options[i].value != NULL
                        ? match(argv, options[i].name, &value)
                        : strcmp(argv[0] + 2, options[i].name) == 0; /* a flag is one word */

        if (taken == 0)
            continue;
        if (value == NULL) {
            (void)ctl_usage(args->command, "--%s needs a value", options[i].name);
            return -1;
        }
        if (args->counts[i] == (options[i].repeat ? CTL_VALUES_MAX : 1)) {
            (void)ctl_usage(args->command, "--%s is there too often", options[i].name);
            return -1;
        }
        args->values[i][args->counts[i]++] = value;
        return taken;
    }
    (void)ctl_usage(args->command, "there is no option %s", argv[0]);
    return -1;
}

static enum ctl_exit check_complete(const struct ctl_args *args)
{
    const struct ctl_command *command = args->command;

    if (args->operand_count < command->operands_min)
        return ctl_usage(command, "%s is missing", command->operands);
    for (size_t i = 0; command->options != NULL && command->options[i].name != NULL; i++) {
        if (command->options[i].required && args->counts[i] == 0)
            return ctl_usage(command, "--%s is missing", command->options[i].name);
    }
    return CTL_OK;
}

enum ctl_exit ctl_args_parse(struct ctl_args *out, struct ctl *ctl, char *const *argv)
{
    bool only_operands = false;

    while (argv[0] != NULL) {
        int taken = 1;

        if (!only_operands && strcmp(argv[0], "--") == 0) {
            only_operands = true;
        } else if (!only_operands &&
                   (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
            out->help = true;
            return CTL_OK;
        } else if (!only_operands && argv[0][0] == '-' && argv[0][1] != '\0') {
            taken = ctl_args_global(ctl, argv);
            if (taken == 0)
                taken = take_option(out, argv);
            if (taken < 0)
                return CTL_USAGE;
        } else if (out->operand_count == out->command->operands_max) {
            return ctl_usage(out->command, "what is \"%s\"?", argv[0]);
        } else {
            out->operands[out->operand_count++] = argv[0];
        }
        argv += taken;
    }
    return check_complete(out);
}

const char *ctl_arg(const struct ctl_args *args, const char *name)
{
    size_t i = find(args->command, name);

    return i < CTL_OPTIONS_MAX && args->counts[i] > 0 ? args->values[i][args->counts[i] - 1] : NULL;
}

const char *const *ctl_arg_all(const struct ctl_args *args, const char *name, size_t *count)
{
    size_t i = find(args->command, name);

    *count = i < CTL_OPTIONS_MAX ? args->counts[i] : 0;
    return i < CTL_OPTIONS_MAX ? args->values[i] : NULL;
}

enum ctl_exit ctl_arg_number(const struct ctl_args *args, const char *name, struct ctl_range range,
                             uint64_t *out)
{
    const char *text = ctl_arg(args, name);
    unsigned long long v;

    if (text == NULL)
        return CTL_OK;
    errno = 0;
    v = strtoull(text, NULL, 10);
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || errno != 0 ||
        v < range.min || v > range.max)
        return ctl_usage(args->command, "--%s must be %" PRIu64 " to %" PRIu64 ", not \"%s\"", name,
                         range.min, range.max, text);
    *out = v;
    return CTL_OK;
}
