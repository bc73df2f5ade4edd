/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connectors in one process, each a real uplink of modules/connector with a key of its own,
 * all on one loop and at one gateway: what a site, or a whole farm, looks like that comes back
 * after a restart. Their keys follow from a seed, so --print-keys can put them into contracts. It
 * serves nobody: a visitor who comes to one of them is refused.
 *
 * It prints one JSON object a line, with unix times in ms so that other programs' can be compared:
 * {"event":"start"|"tick"|"lost"|"first"|"all", "at":.., "up":.., "of":.., "dials":..,
 * "handshakes":.., "cpu_ms":..}. "lost" is the first tunnel that ends after all were up, "first"
 * the first that is up after that, "all" when every one is up; "tick" comes while it changes.
 *
 * The linker puts two functions here in front of the real ones (see CMakeLists.txt): connect(), to
 * count and to bind a source address, and link_handshake_start(), to count.
 */
#include <ev.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/context.h"
#include "modules/connector/uplink.h"
#include "modules/link/handshake.h"
#include "modules/link/link.h"

#define COUNT_MAX 20000
#define SOURCES_MAX 60000
#define TICK_S 0.25

struct herd;

struct connector {
    struct herd *herd;
    struct con_context context;
    struct tun_identity identity;
    struct con_uplink *uplink;
    bool up;
};

struct herd {
    struct ev_loop *loop;
    struct link_hub *hub;
    struct con_config *config;
    struct tun_vault *vault;
    struct connector *connectors;
    size_t count, up, told_up;
    bool complete; /* all were up, and none was lost since */
    bool waits;    /* none is up since the first was lost */
    ev_timer tick;
    ev_signal term, interrupt;
};

struct options {
    const char *seed;
    const char *gateway;
    size_t count;
    size_t links;
    bool print_keys;
};

static size_t sources; /* addresses from which to dial; 0 = do not bind */
static uint64_t dials, handshakes;

/* ---- in front of the real functions -------------------------------------------------------- */

int __real_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __real_link_handshake_start(struct link_handshake *self, struct ev_loop *loop,
                                const struct link_handshake_config *cfg);
int __wrap_link_handshake_start(struct link_handshake *self, struct ev_loop *loop,
                                const struct link_handshake_config *cfg);

/* The next dial comes from the next one of 127.1.0.1 .. 127.1.0.0 + sources. */
static void bind_source(int fd)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int late = 1; /* the port is chosen in connect(), so that each address has all of them */

    from.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)(dials % sources));
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
    if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
        perror("bind");
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    dials++;
    if (sources > 0 && to->sa_family == AF_INET)
        bind_source(fd);
    return __real_connect(fd, to, len);
}

int __wrap_link_handshake_start(struct link_handshake *self, struct ev_loop *loop,
                                const struct link_handshake_config *cfg)
{
    handshakes++;
    return __real_link_handshake_start(self, loop, cfg);
}

/* ---- what is printed ----------------------------------------------------------------------- */

static unsigned long cpu_ms(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return (unsigned long)((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
}

static void tell(struct herd *herd, const char *event)
{
    herd->told_up = herd->up;
    (void)printf("{\"event\":\"%s\",\"at\":%llu,\"up\":%zu,\"of\":%zu,\"dials\":%llu,"
                 "\"handshakes\":%llu,\"cpu_ms\":%lu}\n",
                 event, (unsigned long long)clock_unix_ms(), herd->up, herd->count,
                 (unsigned long long)dials, (unsigned long long)handshakes, cpu_ms());
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct herd *herd = w->data;

    (void)loop;
    (void)revents;
    if (herd->up != herd->told_up)
        tell(herd, "tick");
}

static void came(struct herd *herd)
{
    herd->up++;
    if (herd->waits) {
        herd->waits = false;
        tell(herd, "first");
    }
    if (herd->up == herd->count) {
        herd->complete = true;
        tell(herd, "all");
    }
}

static void went(struct herd *herd)
{
    herd->up--;
    if (!herd->complete)
        return;
    herd->complete = false;
    herd->waits = true;
    tell(herd, "lost");
}

static void on_change(void *arg)
{
    struct connector *c = arg;
    bool up = con_uplink_is_up(c->uplink);

    if (up == c->up)
        return;
    c->up = up;
    if (up)
        came(c->herd);
    else
        went(c->herd);
}

/* ---- the herd ------------------------------------------------------------------------------ */

static void must(int rc, const char *what)
{
    if (rc == ERR_OK)
        return;
    (void)fprintf(stderr, "connectors: %s: %s\n", what, err_text(rc));
    exit(EXIT_FAILURE);
}

static void derive(struct tun_secret_key *out, const char *seed, size_t number)
{
    char text[300];

    (void)snprintf(text, sizeof(text), "%s/%zu", seed, number);
    (void)crypto_generichash(out->bytes, sizeof(out->bytes), (const uint8_t *)text, strlen(text),
                             NULL, 0);
}

static void print_keys(const struct options *options)
{
    struct tun_secret_key secret;
    struct tun_public_key public;
    char text[TUN_KEY_TEXT_LEN + 1];

    for (size_t i = 0; i < options->count; i++) {
        derive(&secret, options->seed, i);
        tun_key_public(&public, &secret);
        tun_key_print(text, &public);
        (void)puts(text);
    }
}

static void add_connector(struct herd *herd, struct connector *c, struct tun_secret_key *secret)
{
    struct con_uplink_config cfg = {.context = &c->context,
                                    .gateway = &herd->config->gateways[0],
                                    .on_change = on_change,
                                    .arg = c};
    const struct tun_secret_key *kept;

    must(tun_vault_add(herd->vault, &kept, secret), "vault");
    tun_identity_init(&c->identity, kept);
    c->herd = herd;
    c->context = (struct con_context){
        .loop = herd->loop, .hub = herd->hub, .config = herd->config, .identity = &c->identity};
    clock_random(c->context.instance, sizeof(c->context.instance));
    must(con_uplink_new(&c->uplink, &cfg), "uplink");
}

static void configure(struct herd *herd, const struct options *options)
{
    char why[CON_WHY_CAP] = "out of memory";

    herd->config = con_config_new();
    if (herd->config == NULL ||
        con_config_add_gateway(herd->config, options->gateway, why) != ERR_OK ||
        con_config_add_service(herd->config, "web=127.0.0.1:9", why) != ERR_OK) {
        (void)fprintf(stderr, "connectors: %s\n", why);
        exit(EXIT_FAILURE);
    }
    herd->config->links = options->links;
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void watch(struct herd *herd)
{
    ev_timer_init(&herd->tick, on_tick, TICK_S, TICK_S);
    herd->tick.data = herd;
    ev_timer_start(herd->loop, &herd->tick);
    ev_signal_init(&herd->term, on_signal, SIGTERM);
    ev_signal_start(herd->loop, &herd->term);
    ev_signal_init(&herd->interrupt, on_signal, SIGINT);
    ev_signal_start(herd->loop, &herd->interrupt);
}

static void run(struct herd *herd, const struct options *options)
{
    struct tun_secret_key secret;

    herd->loop = ev_default_loop(EVFLAG_AUTO);
    herd->count = options->count;
    herd->connectors = calloc(herd->count, sizeof(herd->connectors[0]));
    if (herd->connectors == NULL)
        must(ERR_NOMEM, "connectors");
    must(tun_vault_new(&herd->vault, herd->count), "vault");
    must(link_hub_new(&herd->hub, herd->loop), "hub");
    configure(herd, options);
    watch(herd);
    for (size_t i = 0; i < herd->count; i++) {
        derive(&secret, options->seed, i);
        add_connector(herd, &herd->connectors[i], &secret);
    }
    tell(herd, "start");
    ev_run(herd->loop, 0);
    for (size_t i = 0; i < herd->count; i++)
        con_uplink_free(herd->connectors[i].uplink);
    link_hub_free(herd->hub);
    tun_vault_free(herd->vault);
    free(herd->config);
    free(herd->connectors);
    ev_loop_destroy(herd->loop);
}

/* ---- the command line ---------------------------------------------------------------------- */

static void usage(void)
{
    (void)fputs(
        "connectors --seed TEXT --count N --print-keys\n"
        "connectors --seed TEXT --count N --gateway HOST:PORT#KEY [--links N] [--sources N] "
        "[--log LEVEL]\n"
        "  --sources  dial from so many addresses, 127.1.0.1 on, in turn (default: not bound)\n",
        stderr);
    exit(EXIT_FAILURE);
}

static size_t number(const char *text, size_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end != '\0' || n < 1 || n > max)
        usage();
    return n;
}

static struct options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'},    {"count", 1, NULL, 'n'},      {"gateway", 1, NULL, 'g'},
        {"links", 1, NULL, 'l'},   {"print-keys", 0, NULL, 'k'}, {"log", 1, NULL, 'v'},
        {"sources", 1, NULL, 'a'}, {NULL, 0, NULL, 0},
    };
    struct options o = {.links = 1};
    enum log_level level = LOG_LEVEL_ERROR;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 's')
            o.seed = optarg;
        else if (c == 'n')
            o.count = number(optarg, COUNT_MAX);
        else if (c == 'g')
            o.gateway = optarg;
        else if (c == 'l')
            o.links = number(optarg, CON_LINKS_MAX);
        else if (c == 'k')
            o.print_keys = true;
        else if (c == 'a')
            sources = number(optarg, SOURCES_MAX);
        else if (c != 'v' || log_level_parse(&level, optarg) != ERR_OK)
            usage();
    }
    if (o.seed == NULL || o.count == 0 || (o.gateway == NULL) != o.print_keys)
        usage();
    log_setup(level, false);
    return o;
}

static void take_all_files(size_t wanted)
{
    struct rlimit files;

    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < wanted)
        (void)fprintf(stderr, "connectors: only %llu descriptors\n",
                      (unsigned long long)files.rlim_cur);
}

int main(int argc, char **argv)
{
    static struct herd herd;
    struct options options = parse(argc, argv);

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    if (options.print_keys) {
        print_keys(&options);
        return EXIT_SUCCESS;
    }
    take_all_files(options.count * options.links + 64);
    run(&herd, &options);
    return EXIT_SUCCESS;
}
