/* SPDX-License-Identifier: Apache-2.0 */
/* Command line and environment of a module; see launch.h. */
#include "node-agent/launch.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/daemon.h"
#include "bus/base/err.h"

struct environment {
    char bus[AGENT_URL_MAX + 32];
    char prefix[AGENT_PREFIX_MAX + 32];
    char module[AGENT_NAME_MAX + 32];
    char zbus[32];
    char lock[64];
    const char *list[6];
};

static void make_environment(struct environment *env, const struct agent_launch *launch)
{
    static const char *const zbus[] = {"auto", "yes", "no"};
    const struct agent_config *config = launch->config;

    snprintf(env->bus, sizeof(env->bus), "NETWALL_BUS=%s", launch->bus_url);
    snprintf(env->prefix, sizeof(env->prefix), "NETWALL_BUS_PREFIX=%s", config->bus_prefix);
    snprintf(env->module, sizeof(env->module), "NETWALL_MODULE=%s", launch->module->name);
    snprintf(env->zbus, sizeof(env->zbus), "NETWALL_ZBUS=%s", zbus[config->zbus]);
    /* for one that replaces itself: the number stays the same in the child */
    snprintf(env->lock, sizeof(env->lock), "NETWALL_MODULE_LOCK=%d", launch->lock_fd);
    env->list[0] = env->bus;
    env->list[1] = env->prefix;
    env->list[2] = env->module;
    env->list[3] = env->zbus;
    env->list[4] = env->lock;
    env->list[5] = NULL;
}

int agent_launch(struct agent_child **out, const struct agent_launch *launch,
                 char why[AGENT_CHILD_WHY_MAX])
{
    char path[AGENT_PATH_MAX];
    struct environment env;
    const char *argv[4] = {path};
    struct agent_child_config cfg = {
        .loop = launch->loop,
        .argv = argv,
        .env = env.list,
        .lock_fd = launch->lock_fd,
        .on_exit = launch->on_exit,
        .arg = launch->arg,
    };

    if (agent_child_find(path, sizeof(path), launch->module->exec) != ERR_OK) {
        snprintf(why, AGENT_CHILD_WHY_MAX, "%.180s: not found beside the agent nor in PATH",
                 launch->module->exec);
        return ERR_NOENT;
    }
    if (launch->module->config[0] != '\0') {
        argv[1] = "--config";
        argv[2] = launch->module->config;
    }
    make_environment(&env, launch);
    return agent_child_start(out, &cfg, why);
}

void agent_launch_explain(char why[AGENT_CHILD_WHY_MAX], const struct agent_exit *result)
{
    if (!result->known)
        snprintf(why, AGENT_CHILD_WHY_MAX, "ended");
    else if (result->signal != 0)
        snprintf(why, AGENT_CHILD_WHY_MAX, "ended by signal %d (%s)", result->signal,
                 strsignal(result->signal));
    else if (result->code == DAEMON_EXIT_USAGE)
        snprintf(why, AGENT_CHILD_WHY_MAX,
                 "exit status 2: its configuration is wrong, see its log");
    else
        snprintf(why, AGENT_CHILD_WHY_MAX, "exit status %d", result->code);
}
