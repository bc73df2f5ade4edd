/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus_compat: the objects implementations of zbus are compared by, as a server and as a client, to
 * run against those of others by hand. Not installed.
 */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/name.h"
#include "tests/bus/compat_client.h"
#include "tests/bus/compat_server.h"

static const char usage[] =
    "Usage: zbus_compat server|client [--broker URL] [--workers N] [--tick S] [--limit S] [--all]\n"
    "zbus's calculator@1.0 and utils@1.0 of module \"server\", through netwall's library.\n"
    "\n"
    "  server   serves them until SIGTERM\n"
    "  client   calls them, one line for each check; exit 1 when one fails\n"
    "\n"
    "  --broker URL  default tcp://localhost:6379, as the reference has it\n"
    "  --workers N   server: calls at a time (default 1)\n"
    "  --tick S      server: seconds between two times of utils.TikTok (default 1)\n"
    "  --limit S     client: seconds for each check (default 10)\n"
    "  --all         client: also what the reference's own suite does not look at\n";

struct options {
    const char *broker;
    unsigned workers;
    double tick_s;
    double limit_s;
    bool all;
};

static int parse(struct options *out, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--all") == 0) {
            out->all = true;
            continue;
        }
        if (value == NULL)
            return ERR_INVALID;
        if (strcmp(argv[i], "--broker") == 0)
            out->broker = value;
        else if (strcmp(argv[i], "--workers") == 0)
            out->workers = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--tick") == 0)
            out->tick_s = strtod(value, NULL);
        else if (strcmp(argv[i], "--limit") == 0)
            out->limit_s = strtod(value, NULL);
        else
            return ERR_INVALID;
        i++;
    }
    return ERR_OK;
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static int serve(const struct options *options, const struct bus_url *url)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct compat_server_config cfg = {
        .loop = loop, .url = url, .workers = options->workers, .tick_s = options->tick_s};
    struct compat_server *server = NULL;
    ev_signal term;

    if (loop == NULL || compat_server_new(&server, &cfg) != ERR_OK) {
        (void)fprintf(stderr, "zbus_compat: cannot start\n");
        return 1;
    }
    ev_signal_init(&term, on_stop, SIGTERM);
    ev_signal_start(loop, &term);
    (void)ev_run(loop, 0);
    compat_server_free(server);
    ev_loop_destroy(loop);
    return 0;
}

static int check_all(const struct options *options, const struct bus_url *url)
{
    int failed = 0;

    for (size_t i = 0; i < compat_check_count(); i++) {
        char why[COMPAT_WHY_MAX] = "";
        bool ok;

        if (!options->all && !compat_check_is_reference(i))
            continue;
        ok = compat_check_run(i, url, options->limit_s, why);
        (void)printf("%s: %s%s%s\n", ok ? "PASS" : "FAIL", compat_check_name(i), ok ? "" : ": ",
                     ok ? "" : why);
        failed += ok ? 0 : 1;
    }
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options = {.broker = "tcp://localhost:6379", .workers = 1, .limit_s = 10.0};
    char why[BUS_WHY_MAX];
    struct bus_url url;
    bool server = argc > 1 && strcmp(argv[1], "server") == 0;

    if (argc < 2 || (!server && strcmp(argv[1], "client") != 0) ||
        parse(&options, argc, argv) != ERR_OK) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (bus_url_parse(&url, options.broker, why) != ERR_OK) {
        (void)fprintf(stderr, "zbus_compat: %s\n", why);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return server ? serve(&options, &url) : check_all(&options, &url);
}
