/* SPDX-License-Identifier: Apache-2.0 */
/* netwall-agent: command line, signals and exit status. */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/name.h"
#include "bus/serve.h"
#include "node-agent/agent.h"
#include "node-agent/config.h"

#define CONFIG_DEFAULT "/etc/netwall/agent.conf"

static const char usage[] =
    "usage: netwall-agent [--config FILE] [--check-config] [OPTION]...\n"
    "\n"
    "Takes signed contracts from the bus, stores them, tells the modules what to serve and keeps\n"
    "them running.\n"
    "\n"
    "  --config FILE        configuration (default " CONFIG_DEFAULT ", when it is there)\n"
    "  --check-config       check the configuration and exit\n"
    "  --broker URL         the bus, instead of [bus] url: unix:///path or\n"
    "                       tcp://[user:password@]host:port[/db]\n"
    "  --root DIR           state folder, instead of [node] state-dir\n"
    "  --workers N          zbus calls at a time (default 1); see [zbus] serve\n"
    "  --log-level LEVEL    error, warn, info (default) or debug\n"
    "  --log-format FORMAT  text (default) or json\n"
    "  --version (-v), --help (-h)\n"
    "\n"
    "SIGTERM, SIGINT: drain the modules, stop the embedded bus, exit; a second one: at once.\n"
    "SIGHUP: read the configuration again, and so do the modules.\n"
    "Exit: 0 asked to stop, 1 runtime failure, 2 usage or configuration.\n";

/* What the command line says over the file. */
struct options {
    const char *broker;
    const char *root;
    unsigned workers; /* 0 = not said */
};

enum { TERM, INT, HUP, USR1, CHLD, SIGNALS };

struct program {
    struct ev_loop *loop;
    struct agent *agent;
    const char *path; /* configuration file; NULL = none */
    struct options options;
    ev_signal signals[SIGNALS];
};

static int take_broker(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;
    char reason[BUS_WHY_MAX] = "is too long";
    struct bus_url url;

    if (bus_url_parse(&url, value, reason) == ERR_OK && strlen(value) < AGENT_URL_MAX) {
        out->broker = value;
        return ERR_OK;
    }
    (void)snprintf(why, why_len, "%s", reason);
    return ERR_INVALID;
}

static int take_root(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;

    if ((value[0] == '/' || value[0] == '.') && strlen(value) < AGENT_PATH_MAX) {
        out->root = value;
        return ERR_OK;
    }
    (void)snprintf(why, why_len, "is no path of a folder");
    return ERR_INVALID;
}

static int take_workers(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && n >= 1 && n <= BUS_WORKERS_MAX) {
        out->workers = (unsigned)n;
        return ERR_OK;
    }
    (void)snprintf(why, why_len, "must be 1 to %d", BUS_WORKERS_MAX);
    return ERR_INVALID;
}

static const struct daemon_option own_options[] = {
    {"broker", false, take_broker},
    {"root", false, take_root},
    {"workers", false, take_workers},
    {0},
};

static int load(struct agent_config *out, const struct program *self, char why[INI_WHY_MAX])
{
    const struct options *options = &self->options;
    int rc = self->path != NULL ? agent_config_load(out, self->path, why)
                                : agent_config_parse(out, "defaults", "", 0, why);

    if (rc != ERR_OK)
        return rc;
    if (options->broker != NULL) {
        out->embedded = false;
        (void)snprintf(out->bus_url, sizeof(out->bus_url), "%s", options->broker);
    }
    if (options->root != NULL)
        (void)snprintf(out->state_dir, sizeof(out->state_dir), "%s", options->root);
    if (options->workers != 0)
        out->zbus_workers = options->workers;
    return ERR_OK;
}

static void reload(struct program *self)
{
    static struct agent_config config; /* 50 KB: not for the stack of a signal's callback */
    char why[INI_WHY_MAX];

    if (load(&config, self, why) == ERR_OK)
        agent_reload(self->agent, &config);
    else
        LOG_ERROR("configuration not taken, the old one stays", KV_S("why", why));
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct program *self = w->data;

    (void)loop;
    (void)revents;
    if (w->signum == SIGHUP)
        reload(self);
    else if (w->signum == SIGCHLD)
        agent_reap(self->agent);
    else if (w->signum != SIGUSR1) /* logs go to stderr: there is nothing to reopen */
        agent_stop(self->agent);
}

static void watch_signals(struct program *self)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};

    for (int i = 0; i < SIGNALS; i++) {
        ev_signal_init(&self->signals[i], on_signal, numbers[i]);
        self->signals[i].data = self;
        ev_signal_start(self->loop, &self->signals[i]);
    }
}

static int run(struct program *self, const struct agent_config *config)
{
    char why[AGENT_WHY_MAX];

    daemon_harden();
    /* Not the default loop: that one would collect our children before their pidfds tell. */
    self->loop = ev_loop_new(EVFLAG_AUTO);
    if (self->loop == NULL || sodium_init() < 0) {
        LOG_ERROR("cannot start", KV_S("why", "no event loop, or no random numbers"));
        return DAEMON_EXIT_FAILURE;
    }
    if (agent_new(&self->agent, self->loop, config, why) != ERR_OK) {
        LOG_ERROR("cannot start", KV_S("why", why));
        ev_loop_destroy(self->loop);
        return DAEMON_EXIT_FAILURE;
    }
    watch_signals(self);
    ev_run(self->loop, 0);
    agent_free(self->agent);
    ev_loop_destroy(self->loop);
    LOG_INFO("stopped");
    return DAEMON_EXIT_OK;
}

int main(int argc, char **argv)
{
    static struct agent_config config; /* 50 KB */
    struct daemon_args args;
    static struct program program;
    char why[INI_WHY_MAX];
    int rc = daemon_parse(&args, argc, argv, "netwall-agent", usage, own_options, &program.options);

    if (rc >= 0)
        return rc;
    program.path = args.config;
    if (program.path == NULL && access(CONFIG_DEFAULT, R_OK) == 0)
        program.path = CONFIG_DEFAULT;
    if (load(&config, &program, why) != ERR_OK) {
        fprintf(stderr, "%s\n", why);
        return DAEMON_EXIT_USAGE;
    }
    if (args.check_config)
        return DAEMON_EXIT_OK;
    daemon_export_log(&args);
    return run(&program, &config);
}
