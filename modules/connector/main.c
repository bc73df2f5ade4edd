/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netwall-connector: flags, key, wall, signals. It makes no key and opens no listening socket; the
 * work is connector.c, once for each thread (crew.c).
 */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/keyfile.h"
#include "bus/base/log.h"
#include "modules/connector/crew.h"
#include "modules/connector/options.h"
#include "modules/connector/wall.h"
#include "modules/tunnel/handshake.h"

#define GOODBYE_LIMIT_S 1.0 /* for the last words of every tunnel */

struct process {
    struct ev_loop *loop;
    struct con_options options;
    struct con_crew *crew;
    ev_signal term, interrupt, hup, usr1;
    ev_timer limit; /* of the drain, then of the last words */
    ev_timer watchdog;
    bool draining, hurrying;
};

/* ---- key ------------------------------------------------------------------------ */

/* Our key from the file or NETWALL_KEY. Returns 0 or an error with the reason on stderr. */
static int read_key(struct tun_secret_key *out, const struct con_config *config, bool allow_group)
{
    char why[KEYFILE_WHY_MAX] = "";
    char *line = getenv("NETWALL_KEY");
    int rc;

    if (config->key_path[0] != '\0') {
        rc = keyfile_read(out->bytes, KEYFILE_X25519, config->key_path, allow_group, why);
        if (rc == ERR_OK)
            return rc;
        (void)fprintf(stderr, "netwall-connector: %s\n", why[0] != '\0' ? why : err_text(rc));
        if (rc == ERR_NOENT)
            (void)fprintf(stderr, "make one: netwall keygen --type x25519 --out %s\n",
                          config->key_path);
        return rc;
    }
    if (line == NULL) {
        (void)fputs("netwall-connector: no key: give --key FILE\n"
                    "make one: netwall keygen --type x25519 --out connector.key\n",
                    stderr);
        return ERR_INVALID;
    }
    rc = keyfile_parse(out->bytes, KEYFILE_X25519, line, strlen(line), why);
    if (rc != ERR_OK)
        (void)fprintf(stderr, "netwall-connector: NETWALL_KEY: %s\n", why);
    sodium_memzero(line, strlen(line)); /* /proc/PID/environ would show it */
    return rc;
}

/* ---- signals ------------------------------------------------------------------------------- */

static void on_drained(void *arg)
{
    struct process *p = arg;

    LOG_INFO("stopped");
    ev_break(p->loop, EVBREAK_ALL);
}

/* Visitors are cut, and every gateway is told: left alone it would wait for us to come back. */
static void hurry(struct process *p)
{
    p->hurrying = true;
    ev_timer_stop(p->loop, &p->limit);
    ev_timer_set(&p->limit, GOODBYE_LIMIT_S, 0.0);
    ev_timer_start(p->loop, &p->limit);
    con_crew_hurry(p->crew);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct process *p = w->data;

    (void)revents;
    if (p->hurrying) { /* some gateway does not take its CLOSE */
        LOG_INFO("stopped");
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    LOG_WARN("visitors are cut: they did not finish in time",
             KV_N("visitors", con_crew_streams(p->crew)));
    hurry(p);
}

/* First: finish in order. Second: cut the visitors. Third: at once. */
static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct process *p = w->data;

    (void)revents;
    if (p->hurrying) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    if (p->draining) {
        LOG_INFO("stopping at once", KV_N("visitors", con_crew_streams(p->crew)));
        hurry(p);
        return;
    }
    p->draining = true;
    daemon_notify("STOPPING=1");
    LOG_INFO("finishing", KV_N("visitors", con_crew_streams(p->crew)));
    ev_timer_set(&p->limit, (double)con_crew_drain_timeout_ms(p->crew) / 1000.0, 0.0);
    ev_timer_start(loop, &p->limit);
    con_crew_drain(p->crew, on_drained, p);
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct process *p = w->data;
    char why[CON_WHY_CAP];
    struct con_config *config = con_options_config(&p->options, why);

    (void)loop;
    (void)revents;
    if (config == NULL)
        LOG_ERROR("config not changed", KV_S("why", why));
    else if (con_crew_reload(p->crew, config) != ERR_OK)
        LOG_ERROR("config not changed", KV_S("why", "out of memory"));
    free(config);
}

/* The log is stderr: whoever reads it rotates it. */
static void on_usr1(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    LOG_INFO("log goes on");
}

/* A thread that hangs does not answer. */
static void on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct process *p = w->data;

    (void)loop;
    (void)revents;
    (void)con_crew_streams(p->crew);
    daemon_notify("WATCHDOG=1");
}

static void on_status(void *arg, size_t up, size_t count)
{
    char text[64];

    (void)arg;
    (void)snprintf(text, sizeof(text), "STATUS=%zu of %zu tunnels up", up, count);
    daemon_notify(text);
}

static void watch_signal(struct process *p, ev_signal *w, int number,
                         void (*fn)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(w, fn, number);
    w->data = p;
    ev_signal_start(p->loop, w);
}

static void watch_all(struct process *p)
{
    unsigned ms = daemon_watchdog_ms();

    watch_signal(p, &p->term, SIGTERM, on_term);
    watch_signal(p, &p->interrupt, SIGINT, on_term);
    watch_signal(p, &p->hup, SIGHUP, on_hup);
    watch_signal(p, &p->usr1, SIGUSR1, on_usr1);
    ev_init(&p->limit, on_limit);
    p->limit.data = p;
    ev_timer_init(&p->watchdog, on_watchdog, ms / 1000.0, ms / 1000.0);
    p->watchdog.data = p;
    if (ms > 0)
        ev_timer_start(p->loop, &p->watchdog);
}

/* ---- the process --------------------------------------------------------------------------- */

static int check_wall(void)
{
    char why[CON_WALL_WHY_CAP];

    if (con_wall_raise(why) == ERR_OK && con_wall_check(why) == ERR_OK) {
        (void)puts("no listening socket, and none can be made: bind, listen, accept, accept4 and "
                   "io_uring_setup are forbidden");
        return DAEMON_EXIT_OK;
    }
    (void)fprintf(stderr, "netwall-connector: the wall has a hole: %s\n", why);
    return DAEMON_EXIT_FAILURE;
}

/* Behind the wall from the first packet on. */
static int raise_wall(void)
{
    char why[CON_WALL_WHY_CAP];

    if (con_wall_no_listener(why) == ERR_OK && con_wall_raise(why) == ERR_OK)
        return ERR_OK;
    LOG_ERROR("the wall cannot be raised", KV_S("why", why));
    return ERR_SYS;
}

static void log_start(const struct con_config *config, const struct tun_identity *identity)
{
    char key[TUN_KEY_TEXT_LEN + 1];

    tun_key_print(key, &identity->public_key);
    LOG_INFO("connector started", KV_S("version", NW_VERSION), KV_S("public_key", key),
             KV_S("name", config->name), KV_N("gateways", config->gateway_count),
             KV_N("services", config->service_count), KV_N("threads", config->threads));
    if (config->twin == 0)
        LOG_WARN("no twin is set: the first twin whose contract names this key is served; better "
                 "say which one (twin = N, --twin N)");
}

static int run(struct process *p, struct con_config *config, const struct tun_identity *identity)
{
    struct con_connector_config cfg = {
        .loop = p->loop, .config = config, .identity = identity, .on_status = on_status, .arg = p};

    int rc;

    watch_all(p);
    log_start(config, identity); /* threads speak at once */
    rc = con_crew_new(&p->crew, &cfg);
    if (rc != ERR_OK) {
        LOG_ERROR(rc == ERR_SYS
                      ? "no thread can be made; fewer of them, or a higher limit (TasksMax)?"
                      : "the connector cannot start",
                  KV_S("why", rc == ERR_SYS ? strerror(errno) : err_text(rc)),
                  KV_N("threads", config->threads));
        free(config);
        return DAEMON_EXIT_FAILURE;
    }
    free(config);
    daemon_notify("READY=1");
    ev_run(p->loop, 0);
    con_crew_free(p->crew);
    return DAEMON_EXIT_OK;
}

/* Key into the vault, wall up, run. CONFIG is consumed. */
static int start(struct process *p, struct con_config *config)
{
    struct tun_vault *vault;
    struct tun_secret_key secret;
    const struct tun_secret_key *kept;
    struct tun_identity identity;
    int status = DAEMON_EXIT_FAILURE;

    if (read_key(&secret, config, p->options.allow_group) != ERR_OK) {
        free(config);
        return DAEMON_EXIT_USAGE;
    }
    if (tun_vault_new(&vault, 1) != ERR_OK || tun_vault_add(vault, &kept, &secret) != ERR_OK) {
        LOG_ERROR("out of memory");
        free(config);
        return DAEMON_EXIT_FAILURE;
    }
    if (tun_vault_lock_error(vault) != ERR_OK)
        LOG_WARN("the key cannot be locked into memory", KV_S("err", strerror(errno)));
    tun_identity_init(&identity, kept);
    p->loop = raise_wall() == ERR_OK ? ev_default_loop(EVFLAG_AUTO) : NULL;
    if (p->loop != NULL)
        status = run(p, config, &identity);
    else
        free(config);
    tun_vault_free(vault);
    return status;
}

int main(int argc, char **argv)
{
    static struct process p;
    char why[CON_WHY_CAP];
    struct con_config *config;
    int status = con_options_parse(&p.options, argc, argv);

    if (status >= 0)
        return status;
    daemon_harden();
    if (p.options.check_wall)
        return check_wall();
    if (sodium_init() < 0)
        return DAEMON_EXIT_FAILURE;
    config = con_options_config(&p.options, why);
    if (config == NULL) {
        (void)fprintf(stderr, "netwall-connector: %s\n", why);
        return DAEMON_EXIT_USAGE;
    }
    if (p.options.args.check_config) {
        free(config);
        return DAEMON_EXIT_OK;
    }
    return start(&p, config);
}
