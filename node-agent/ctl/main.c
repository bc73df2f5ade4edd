/* SPDX-License-Identifier: Apache-2.0 */
/* The `netwall` command: finds the subcommand, and where the buses are. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/name.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/say.h"

static const struct ctl_command *const groups[] = {
    ctl_key_commands,    ctl_sign_commands, ctl_statement_commands, ctl_contract_commands,
    ctl_delete_commands, ctl_node_commands, ctl_state_commands,     ctl_watch_commands,
};

static const char head[] =
    "usage: netwall [--bus URL]... [--prefix P] [--json] COMMAND ...\n"
    "\n"
    "  --bus URL   unix:///path or tcp://[user:password@]host:port[/db]; default $NETWALL_BUS,\n"
    "              else " CTL_BUS_DEFAULT "; given several times, the command runs\n"
    "              on every node and the worst exit code wins\n"
    "  --prefix P  of the keys on the bus; default $NETWALL_BUS_PREFIX\n"
    "  --json      stdout is one JSON document; messages for people stay on stderr\n"
    "  --allow-group-key  take a key file that its group can read\n"
    "\n";

static const char tail[] =
    "\n"
    "netwall COMMAND --help shows the options of a command.\n"
    "Exit: 0 done, 2 usage, 3 refused, 4 no answer in time, 5 bus unreachable,\n"
    "6 accepted, but some workload is not in place (yet).\n";

static void print_help(FILE *to)
{
    (void)fputs(head, to);
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (const struct ctl_command *c = groups[g]; c->name != NULL; c++)
            fprintf(to, "  %-11s%s\n", c->name, c->about);
    }
    (void)fputs(tail, to);
}

static const struct ctl_command *find_command(const char *name)
{
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (const struct ctl_command *c = groups[g]; c->name != NULL; c++) {
            if (strcmp(c->name, name) == 0)
                return c;
        }
    }
    return NULL;
}

/* What the environment says, unless the command line did. */
static enum ctl_exit complete(struct ctl *ctl)
{
    const char *bus = getenv("NETWALL_BUS"), *prefix = getenv("NETWALL_BUS_PREFIX");
    char why[BUS_WHY_MAX];

    if (ctl->bus_count == 0)
        ctl->buses[ctl->bus_count++] = bus != NULL && bus[0] != '\0' ? bus : CTL_BUS_DEFAULT;
    if (ctl->prefix == NULL)
        ctl->prefix = prefix != NULL ? prefix : "";
    for (size_t i = 0; i < ctl->bus_count; i++) {
        if (bus_url_parse(&ctl->urls[i], ctl->buses[i], why) != ERR_OK) {
            ctl_say("--bus: %s", why);
            return CTL_USAGE;
        }
    }
    if (bus_prefix_check(ctl->prefix))
        return CTL_OK;
    ctl_say("the prefix \"%s\" is longer than %d bytes or holds blanks", ctl->prefix,
            BUS_PREFIX_MAX);
    return CTL_USAGE;
}

static enum ctl_exit start(struct ctl *ctl, const struct ctl_command *command, char *const *argv)
{
    static struct ctl_args args; /* large */
    enum ctl_exit code;

    args.command = command;
    code = ctl_args_parse(&args, ctl, argv);
    if (code != CTL_OK)
        return code;
    if (args.help) {
        ctl_help(command);
        return CTL_OK;
    }
    code = complete(ctl);
    return code == CTL_OK ? command->run(ctl, &args) : code;
}

/* A command that was not understood has printed nothing yet: with --json its error follows. */
static int run(struct ctl *ctl, const struct ctl_command *command, char *const *argv)
{
    enum ctl_exit code = start(ctl, command, argv);

    if (ctl->json && code == CTL_USAGE)
        ctl_print_said();
    return (int)code;
}

/* Options in front of the command. Returns the place of the command in ARGV, or the end; -1 after
 * an error. */
static int take_globals(struct ctl *ctl, char *const *argv)
{
    int at = 1;

    while (argv[at] != NULL && argv[at][0] == '-') {
        int taken = ctl_args_global(ctl, &argv[at]);

        if (taken < 0)
            return -1;
        if (taken == 0)
            break;
        at += taken;
    }
    return at;
}

int main(int argc, char **argv)
{
    static struct ctl ctl;
    const struct ctl_command *command;
    int at;

    if (argc < 1 || sodium_init() < 0)
        return CTL_FAILED;
    log_setup(LOG_LEVEL_ERROR, false); /* what goes wrong is said once, by us */
    at = take_globals(&ctl, argv);
    if (at < 0)
        return CTL_USAGE;
    if (argv[at] == NULL) {
        print_help(stderr);
        return CTL_USAGE;
    }
    if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0 ||
        (strcmp(argv[at], "help") == 0 && argv[at + 1] == NULL)) {
        print_help(stdout);
        return CTL_OK;
    }
    if (strcmp(argv[at], "--version") == 0) {
        printf("netwall %s\n", NW_VERSION);
        return CTL_OK;
    }
    command = find_command(argv[at]);
    if (command == NULL) {
        ctl_say("there is no command \"%s\"; `netwall --help` lists them", argv[at]);
        return CTL_USAGE;
    }
    return run(&ctl, command, &argv[at + 1]);
}
