/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netwall-gateway: the process. Command line, environment, signals; what the gateway does begins in
 * control.c, who does it when processes replace each other in succession.c.
 */
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
#include "modules/gateway/config.h"
#include "modules/gateway/control.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/identity.h"
#include "modules/gateway/succession.h"
#include "modules/gateway/template.h"
#include "modules/http/template.h"

#define PROGRAM "netwall-gateway"
#define CONFIG_DEFAULT "/etc/netwall/gateway.conf"
#define MODULE_DEFAULT "gateway"

static const char usage[] =
    "Usage: netwall-gateway [--config FILE] [OPTION]...\n"
    "The public side of netwall: visitors in, connectors' tunnels in, bytes between them.\n"
    "\n"
    "  --config FILE      default " CONFIG_DEFAULT ", if it is there\n"
    "  --check-config     exit 0, or 2 with file:line and what is wrong\n"
    "  --broker URL       the bus: unix:///path or tcp://[user:password@]host:port[/db]\n"
    "  --root DIR         state folder, instead of [gateway] state-dir\n"
    "  --workers N        zbus calls at a time (default 1)\n"
    "  --log-level LEVEL  error, warn, info (default), debug\n"
    "  --log-format F     text (default) or json\n"
    "  --version (-v), --help (-h)\n"
    "\n"
    "Under netwall-agent the bus comes in NETWALL_BUS, NETWALL_BUS_PREFIX, NETWALL_MODULE and\n"
    "NETWALL_ZBUS. SIGTERM: drain and end, twice: at once. SIGHUP: read the config again.\n"
    "SIGUSR1: open the access log again, after a rename.\n"
    "SIGUSR2: start the program at our path anew and hand everything over to it, without losing\n"
    "a visitor; if that fails, this process serves on.\n";

/* What the command line says beside the common options. */
struct options {
    const char *broker;
    const char *root;
    unsigned workers;
};

/* Everything that lives as long as the process. */
struct gateway {
    struct ev_loop *loop;
    struct daemon_args args;
    struct options options;
    struct gw_config config;
    struct bus_url bus;
    bool has_bus;
    char public_key[TUN_KEY_TEXT_LEN + 1]; /* at the start */
    struct gw_control *control;
    ev_signal term, intr, hup, usr1, usr2;
    ev_timer watchdog;
    char **argv;
    struct gw_succession *succession;
};

static int take_broker(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;
    char reason[BUS_WHY_MAX];
    struct bus_url url;

    if (bus_url_parse(&url, value, reason) != ERR_OK) {
        (void)snprintf(why, why_len, "%s", reason);
        return ERR_INVALID;
    }
    out->broker = value;
    return ERR_OK;
}

static int take_root(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;

    if (value[0] == '\0' || strlen(value) >= GW_PATH_MAX - 64) {
        (void)snprintf(why, why_len, "is empty or too long");
        return ERR_INVALID;
    }
    out->root = value;
    return ERR_OK;
}

static int take_workers(void *arg, const char *value, char *why, size_t why_len)
{
    struct options *out = arg;
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n < 1 || n > BUS_WORKERS_MAX) {
        (void)snprintf(why, why_len, "must be 1 to %d", BUS_WORKERS_MAX);
        return ERR_INVALID;
    }
    out->workers = (unsigned)n;
    return ERR_OK;
}

static const struct daemon_option own_options[] = {
    {"broker", false, take_broker},
    {"root", false, take_root},
    {"workers", false, take_workers},
    {0},
};

/* ---- config ---- */

/* The file of --config, else the usual one if it is there, else what holds without a file. */
static int load_config(const struct gateway *self, struct gw_config *out, char why[INI_WHY_MAX])
{
    const char *path = self->args.config;

    if (path == NULL && access(CONFIG_DEFAULT, F_OK) == 0)
        path = CONFIG_DEFAULT;
    if (path != NULL)
        return gw_config_load(out, path, self->options.root, why);
    gw_config_default(out);
    if (gw_config_place(out, self->options.root != NULL ? self->options.root : out->state_dir) ==
        ERR_OK)
        return ERR_OK;
    (void)snprintf(why, INI_WHY_MAX, "--root: too long");
    return ERR_INVALID;
}

/* What ini cannot know about the [bus] section. */
static int check_bus(const struct gw_config *config, char why[INI_WHY_MAX])
{
    char reason[BUS_WHY_MAX];
    struct bus_url url;

    if (config->bus_url[0] != '\0' && bus_url_parse(&url, config->bus_url, reason) != ERR_OK) {
        (void)snprintf(why, INI_WHY_MAX, "[bus] url: %s", reason);
        return ERR_INVALID;
    }
    if (!bus_prefix_check(config->bus_prefix)) {
        (void)snprintf(why, INI_WHY_MAX, "[bus] prefix: blanks or too long");
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* A wrong error page is told here, before anything runs with it. */
static int check_template(const struct gw_config *config, char why[INI_WHY_MAX])
{
    struct http_template *template = NULL;
    char reason[GW_TEMPLATE_WHY_MAX] = "";
    int rc = gw_template_load(&template, config->edge.error_template, reason);

    if (rc != ERR_OK)
        (void)snprintf(why, INI_WHY_MAX, "%s", reason);
    http_template_free(template);
    return rc;
}

static int read_config(const struct gateway *self, struct gw_config *out)
{
    char why[INI_WHY_MAX] = "";
    int rc = load_config(self, out, why);

    if (rc == ERR_OK)
        rc = check_bus(out, why);
    if (rc == ERR_OK)
        rc = check_template(out, why);
    if (rc != ERR_OK)
        (void)fprintf(stderr, "%s\n", why[0] != '\0' ? why : err_text(rc));
    return rc;
}

/* --broker, else the agent's environment, else the file. Returns 0 or ERR_INVALID (printed). */
static int choose_bus(struct gateway *self)
{
    const char *env = getenv("NETWALL_BUS"), *prefix = getenv("NETWALL_BUS_PREFIX");
    const char *text = self->options.broker != NULL ? self->options.broker
                       : env != NULL                ? env
                                                    : self->config.bus_url;
    char why[BUS_WHY_MAX];

    if (prefix != NULL) {
        if (!bus_prefix_check(prefix)) {
            (void)fprintf(stderr, "NETWALL_BUS_PREFIX: blanks or too long\n");
            return ERR_INVALID;
        }
        (void)snprintf(self->config.bus_prefix, sizeof(self->config.bus_prefix), "%s", prefix);
    }
    self->has_bus = text[0] != '\0';
    if (!self->has_bus || bus_url_parse(&self->bus, text, why) == ERR_OK)
        return ERR_OK;
    (void)fprintf(stderr, "bus URL: %s\n", why);
    return ERR_INVALID;
}

/* NETWALL_ZBUS of the agent counts more than our own file. */
static bool serve_zbus(const struct gateway *self, bool has_agent)
{
    const char *env = getenv("NETWALL_ZBUS");
    enum gw_zbus_mode mode = self->config.zbus;

    if (env != NULL)
        mode = strcmp(env, "yes") == 0  ? GW_ZBUS_YES
               : strcmp(env, "no") == 0 ? GW_ZBUS_NO
                                        : GW_ZBUS_AUTO;
    return mode == GW_ZBUS_YES || (mode == GW_ZBUS_AUTO && !has_agent);
}

/* ---- what the parts tell ---- */

static void on_up(void *arg)
{
    const struct gateway *self = arg;

    LOG_INFO("gateway is up", KV_S("version", NW_VERSION), KV_S("public_key", self->public_key),
             KV_S("domain", self->config.domain), KV_S("endpoint", self->config.tunnel_endpoint));
    daemon_notify("READY=1");
}

static void on_end(void *arg)
{
    const struct gateway *self = arg;

    ev_break(self->loop, EVBREAK_ALL);
}

static void on_session_up(void *arg, const uint8_t key[32])
{
    const struct gateway *self = arg;

    gw_succession_session_up(self->succession, key);
}

static void on_saved(void *arg)
{
    const struct gateway *self = arg;

    gw_succession_saved(self->succession);
}

/* ---- signals ---- */

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct gateway *self = w->data;

    (void)loop;
    (void)revents;
    gw_succession_stop(self->succession);
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct gateway *self = w->data;
    struct gw_config *next = malloc(sizeof(*next));

    (void)loop;
    (void)revents;
    if (next != NULL && read_config(self, next) == ERR_OK) {
        if (getenv("NETWALL_BUS") != NULL) /* the file's [bus] does not count */
            memcpy(next->bus_prefix, self->config.bus_prefix, sizeof(next->bus_prefix));
        gw_control_reload(self->control, next);
        LOG_INFO("config read again");
    } else {
        LOG_ERROR("the new config is not valid; the old one stays");
    }
    free(next);
}

static void on_usr1(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct gateway *self = w->data;

    (void)loop;
    (void)revents;
    gw_worker_reopen_log(gw_control_worker(self->control));
    LOG_INFO("access log opened again"); /* our own log goes to stderr */
}

static void on_usr2(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct gateway *self = w->data;

    (void)loop;
    (void)revents;
    gw_succession_upgrade(self->succession);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    daemon_notify("WATCHDOG=1");
}

static void watch(struct gateway *self, ev_signal *w,
                  void (*fn)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(w, fn, number);
    w->data = self;
    ev_signal_start(self->loop, w);
}

static void watch_all(struct gateway *self)
{
    double every = (double)daemon_watchdog_ms() / 1000.0;

    watch(self, &self->term, on_stop, SIGTERM);
    watch(self, &self->intr, on_stop, SIGINT);
    watch(self, &self->hup, on_hup, SIGHUP);
    watch(self, &self->usr1, on_usr1, SIGUSR1);
    watch(self, &self->usr2, on_usr2, SIGUSR2);
    ev_timer_init(&self->watchdog, on_watchdog, every, every);
    if (every > 0.0)
        ev_timer_start(self->loop, &self->watchdog);
}

/* ---- life ---- */

static int start(struct gateway *self, char why[GW_CONTROL_WHY_MAX])
{
    const char *module = getenv("NETWALL_MODULE");
    bool has_agent = module != NULL && module[0] != '\0';
    struct gw_identity identity;
    struct gw_control_config control = {
        .loop = self->loop,
        .config = &self->config,
        .identity = &identity,
        .bus = self->has_bus ? &self->bus : NULL,
        .prefix = self->config.bus_prefix,
        .module = has_agent ? module : MODULE_DEFAULT,
        .has_agent = has_agent,
        .serve_zbus = serve_zbus(self, has_agent),
        .zbus_workers = self->options.workers,
        .heritage = gw_succession_heritage(self->succession),
        .held = gw_succession_is_heir(self->succession),
        .on_session_up = on_session_up,
        .on_saved = on_saved,
        .arg = self,
    };
    char reason[GW_IDENTITY_WHY_MAX];
    int rc;

    if (!bus_module_check(control.module)) {
        LOG_ERROR("NETWALL_MODULE is no module name");
        return ERR_INVALID;
    }
    rc = gw_identity_load(&identity, &self->config, reason);
    if (rc != ERR_OK) {
        LOG_ERROR("no key", KV_S("why", reason));
        (void)snprintf(why, GW_CONTROL_WHY_MAX, "no key: %.900s", reason);
        return rc;
    }
    memcpy(self->public_key, identity.public_hex, sizeof(self->public_key));
    rc = gw_control_new(&self->control, &control, why);
    gw_identity_deinit(&identity); /* the worker has its own copy */
    if (rc != ERR_OK)
        LOG_ERROR("cannot start", KV_S("why", why));
    return rc;
}

static int begin(struct gateway *self)
{
    struct gw_succession_config succession = {
        .loop = self->loop,
        .argv = self->argv,
        .limits = &self->config.limits,
        .state_dir = self->config.state_dir,
        .has_agent = getenv("NETWALL_MODULE") != NULL,
        .on_up = on_up,
        .on_end = on_end,
        .arg = self,
    };
    char why[GW_CONTROL_WHY_MAX] = "";
    int rc = gw_succession_new(&self->succession, &succession);

    if (rc != ERR_OK)
        return rc;
    rc = start(self, why);
    if (rc != ERR_OK) {
        gw_succession_fail(self->succession, why);
        return rc;
    }
    watch_all(self);
    return gw_succession_begin(self->succession, self->control);
}

static int run(struct gateway *self)
{
    self->loop = ev_loop_new(EVFLAG_AUTO);
    if (self->loop == NULL || sodium_init() < 0) {
        LOG_ERROR("cannot make an event loop");
        return DAEMON_EXIT_FAILURE;
    }
    if (begin(self) != ERR_OK)
        return DAEMON_EXIT_FAILURE;
    ev_run(self->loop, 0);
    LOG_INFO("gateway ends");
    return gw_succession_is_heir(self->succession) ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_OK;
}

static void clean_up(struct gateway *self)
{
    gw_succession_end(self->succession);
    gw_control_free(self->control);
    gw_succession_free(self->succession);
    if (self->loop != NULL)
        ev_loop_destroy(self->loop);
}

int main(int argc, char **argv)
{
    static struct gateway self = {.options = {.workers = 1}};
    int rc = daemon_parse(&self.args, argc, argv, PROGRAM, usage, own_options, &self.options);

    if (rc >= 0)
        return rc;
    if (read_config(&self, &self.config) != ERR_OK)
        return DAEMON_EXIT_USAGE;
    if (self.args.check_config)
        return DAEMON_EXIT_OK;
    if (choose_bus(&self) != ERR_OK)
        return DAEMON_EXIT_USAGE;
    self.argv = argv;
    daemon_harden();
    rc = run(&self);
    clean_up(&self);
    return rc;
}
