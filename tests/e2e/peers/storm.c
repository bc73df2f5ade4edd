/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strangers on a tunnel port, as many as asked for: silent ones, ones that say a right Hello and
 * then nothing, and garbage; from one address or from thousands of 127.x.y.z. Prints one JSON line
 * of what became of them. Also one honest connector from a chosen address, to see how it fares
 * beside them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/keyfile.h"
#include "modules/tunnel/handshake.h"

#define HELLOS 64 /* made beforehand: a Hello may be said again, the gateway cannot know */
#define PLACES 30000
#define GARBAGE_MS 1000u /* garbage whom the gateway leaves alone goes away by itself */

enum mode { SILENT, HALF, GARBAGE };

struct options {
    enum mode mode;
    struct sockaddr_in to;
    struct tun_public_key gateway;
    unsigned count;   /* open at once, at most */
    unsigned rate;    /* new ones per second */
    unsigned sources; /* addresses to come from */
    uint32_t from;    /* the first of them, host order */
    unsigned seconds; /* until all are closed */
    unsigned again;   /* whether those that the gateway closes are replaced */
};

struct tally {
    unsigned opened, failed, answered, closed, now, most;
};

/* One connection. */
struct stranger {
    int fd; /* 0 = none */
    bool connected, answered;
    uint64_t since_ms;
};

static struct stranger strangers[PLACES]; /* by descriptor */
static uint8_t hellos[HELLOS][TUN_HELLO_LEN];

static void die(const char *what)
{
    (void)fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_hellos(const struct options *o)
{
    struct tun_secret_key secret;
    struct tun_identity own;
    struct tun_connector_info info = {.epoch = 1};
    struct tun_handshake_config cfg = {
        .role = TUN_CONNECTOR, .own = &own, .peer = &o->gateway, .connector = &info};

    tun_key_random(&secret);
    tun_identity_init(&own, &secret);
    for (int i = 0; i < HELLOS; i++) {
        struct tun_handshake handshake;
        size_t len;

        if (tun_handshake_init(&handshake, &cfg) != ERR_OK)
            die("hello");
        memcpy(hellos[i], tun_handshake_out(&handshake, &len), TUN_HELLO_LEN);
    }
}

/* A socket bound to FROM, connecting. Returns -1 with errno. */
static int dial(const struct options *o, uint32_t from, int flags)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0), on = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0 &&
        (connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) == 0 || errno == EINPROGRESS))
        return fd;
    close(fd);
    return -1;
}

static void forget(struct stranger *s, struct tally *t)
{
    struct linger hard = {.l_onoff = 1};

    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard,
                     sizeof(hard)); /* its port is free at once */
    close(s->fd);
    s->fd = 0;
    t->now--;
}

static void open_one(const struct options *o, struct tally *t, int poll)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int fd = dial(o, o->from + t->opened % o->sources, SOCK_NONBLOCK);

    t->opened++;
    if (fd < 0 || fd >= PLACES) {
        t->failed++;
        return;
    }
    event.data.fd = fd;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
    strangers[fd] = (struct stranger){.fd = fd, .since_ms = clock_mono_ms()};
    t->now++;
    if (t->now > t->most)
        t->most = t->now;
}

/* The connection is there: say what there is to say. */
static void speak(const struct options *o, struct stranger *s)
{
    uint8_t garbage[TUN_HELLO_LEN];

    s->connected = true;
    if (o->mode == HALF)
        (void)send(s->fd, hellos[s->fd % HELLOS], TUN_HELLO_LEN, MSG_NOSIGNAL);
    if (o->mode != GARBAGE)
        return;
    clock_random(garbage, sizeof(garbage));
    if (s->fd % 2 == 0) /* half of them look like a tunnel at first */
        memcpy(garbage, hellos[0], 40);
    (void)send(s->fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
}

static void on_event(const struct options *o, struct tally *t, const struct epoll_event *event)
{
    struct stranger *s = &strangers[event->data.fd];
    uint8_t data[256];
    ssize_t n;

    if (s->fd == 0)
        return;
    if (!s->connected && (event->events & EPOLLOUT) != 0 && (event->events & EPOLLERR) == 0)
        speak(o, s);
    while ((n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
        t->answered += !s->answered;
        s->answered = true;
    }
    if (n < 0 && errno == EAGAIN)
        return;
    t->closed++;
    forget(s, t);
}

static void end_old_garbage(struct tally *t)
{
    uint64_t now = clock_mono_ms();

    for (int fd = 0; fd < PLACES; fd++) {
        if (strangers[fd].fd != 0 && now - strangers[fd].since_ms > GARBAGE_MS)
            forget(&strangers[fd], t);
    }
}

static void run(const struct options *o)
{
    uint64_t start = clock_mono_ms(), now = start, cleaned = start;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    struct tally t = {0};
    bool again = o->again || o->mode == GARBAGE;

    while (now - start < o->seconds * 1000u) {
        uint64_t due = (now - start) * o->rate / 1000 + 1;

        while (t.opened < due && t.now < o->count && (again || t.opened < o->count))
            open_one(o, &t, poll);
        int n = epoll_wait(poll, events, 256, 1);

        for (int i = 0; i < n; i++)
            on_event(o, &t, &events[i]);
        now = clock_mono_ms();
        if (o->mode == GARBAGE && now - cleaned > 200) {
            end_old_garbage(&t);
            cleaned = now;
        }
    }
    (void)printf("{\"opened\":%u,\"failed\":%u,\"answered\":%u,\"closed\":%u,\"open\":%u,"
                 "\"most\":%u}\n",
                 t.opened, t.failed, t.answered, t.closed, t.now, t.most);
}

/* --- an honest one --- */

/* One try: a whole handshake, and then a record from the gateway, which is its ACCEPT. */
static bool try_once(const struct options *o, const struct tun_identity *own)
{
    struct tun_connector_info info = {.epoch = 1, .name = "fresh", .version = "storm"};
    struct tun_handshake_config cfg = {
        .role = TUN_CONNECTOR, .own = own, .peer = &o->gateway, .connector = &info};
    struct timeval limit = {.tv_sec = 5};
    struct tun_handshake handshake;
    int fd = dial(o, o->from, 0), rc = tun_handshake_init(&handshake, &cfg);
    uint8_t data[2048];

    clock_random(info.instance, sizeof(info.instance));
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    while (rc == ERR_OK) {
        size_t len, used;
        const uint8_t *out = tun_handshake_out(&handshake, &len);
        ssize_t n = len > 0 ? send(fd, out, len, MSG_NOSIGNAL) : 0;

        if (n > 0)
            tun_handshake_sent(&handshake, (size_t)n);
        if (n < 0 || tun_handshake_state(&handshake) == TUN_HANDSHAKE_DONE)
            break;
        n = recv(fd, data, tun_handshake_wants(&handshake), 0);
        rc = n > 0 ? tun_handshake_feed(&handshake, data, (size_t)n, &used) : ERR_EOF;
        if (rc == ERR_OK)
            rc = tun_handshake_work(&handshake);
    }
    rc = rc == ERR_OK && recv(fd, data, sizeof(data), 0) > 0 ? ERR_OK : ERR_EOF;
    close(fd);
    return rc == ERR_OK;
}

/* --- many honest ones at once --- */

#define HERD_MAX 4096
#define HERD_LIMIT_MS 30000u

/* One connector of a site that comes back: it tries until the gateway has said something to it. */
struct sheep {
    int fd; /* -1 = waits to try again */
    struct tun_handshake handshake;
    struct tun_connector_info info;
    uint64_t again_ms;
    unsigned tries;
    bool in;
};

static struct sheep herd[HERD_MAX];

static void herd_try(const struct options *o, const struct tun_identity *own, struct sheep *s)
{
    struct tun_handshake_config cfg = {
        .role = TUN_CONNECTOR, .own = own, .peer = &o->gateway, .connector = &s->info};

    s->tries++;
    clock_random(s->info.instance, sizeof(s->info.instance));
    s->fd = dial(o, o->from, SOCK_NONBLOCK);
    if (s->fd < 0 || tun_handshake_init(&s->handshake, &cfg) != ERR_OK)
        die("herd");
}

/* As far as it goes. Returns ERR_AGAIN, 0 (it is in) or a failure. */
static int herd_step(struct sheep *s)
{
    uint8_t data[2048];
    size_t len, used;
    ssize_t n;
    int rc;

    for (;;) {
        const uint8_t *out = tun_handshake_out(&s->handshake, &len);

        n = len > 0 ? send(s->fd, out, len, MSG_NOSIGNAL) : 0;
        if (n > 0)
            tun_handshake_sent(&s->handshake, (size_t)n);
        len = tun_handshake_state(&s->handshake) == TUN_HANDSHAKE_DONE
                  ? sizeof(data)
                  : tun_handshake_wants(&s->handshake);
        n = n < 0 ? n : recv(s->fd, data, len, 0);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == ENOTCONN) ? ERR_AGAIN : ERR_EOF;
        if (tun_handshake_state(&s->handshake) == TUN_HANDSHAKE_DONE)
            return ERR_OK;
        rc = tun_handshake_feed(&s->handshake, data, (size_t)n, &used);
        if (rc == ERR_OK)
            rc = tun_handshake_work(&s->handshake);
        if (rc != ERR_OK)
            return rc;
    }
}

/* Backoff as a connector's: doubled from 0.2 s, full jitter. */
static uint64_t herd_wait_ms(const struct sheep *s)
{
    return clock_random_u32() % (200u << (s->tries < 6 ? s->tries : 6));
}

static int do_herd(const struct options *o, const struct tun_identity *own)
{
    uint64_t start = clock_mono_ms(), now = start;
    unsigned in = 0, tries = 0, most = 0;

    for (unsigned i = 0; i < o->count; i++)
        herd[i] = (struct sheep){.fd = -1, .info = {.epoch = 1, .name = "herd"}};
    while (in < o->count && now - start < HERD_LIMIT_MS) {
        struct timespec nap = {.tv_nsec = 1000000};

        (void)nanosleep(&nap, NULL);
        now = clock_mono_ms();
        for (struct sheep *s = herd; s < herd + o->count; s++) {
            if (!s->in && s->fd < 0 && now >= s->again_ms)
                herd_try(o, own, s);
            int rc = s->in || s->fd < 0 ? ERR_AGAIN : herd_step(s);

            if (rc == ERR_AGAIN)
                continue;
            s->in = rc == ERR_OK;
            in += s->in;
            s->again_ms = now + herd_wait_ms(s);
            close(s->fd);
            s->fd = -1;
        }
    }
    for (unsigned i = 0; i < o->count; i++) {
        tries += herd[i].tries;
        most = herd[i].tries > most ? herd[i].tries : most;
    }
    (void)printf("{\"in\":%u,\"ms\":%u,\"tries\":%u,\"most_tries\":%u}\n", in,
                 (unsigned)(clock_mono_ms() - start), tries, most);
    return in == o->count ? 0 : 1;
}

static int do_register(const struct options *o, const char *path)
{
    struct tun_secret_key secret;
    struct tun_identity own;
    char why[KEYFILE_WHY_MAX];
    struct timespec pause = {.tv_nsec = 200000000};

    if (keyfile_read(secret.bytes, KEYFILE_X25519, path, false, why) != ERR_OK) {
        (void)fprintf(stderr, "storm: %s\n", why);
        return 1;
    }
    tun_identity_init(&own, &secret);
    if (o->rate > 0)
        return do_herd(o, &own);
    for (unsigned i = 1; i <= o->count; i++) {
        uint64_t start = clock_mono_ms();

        if (try_once(o, &own)) {
            (void)printf("{\"tries\":%u,\"ms\":%u}\n", i, (unsigned)(clock_mono_ms() - start));
            return 0;
        }
        (void)nanosleep(&pause, NULL); /* doubled, as a connector does, without its jitter */
        pause.tv_nsec = pause.tv_nsec < 500000000 ? pause.tv_nsec * 2 : pause.tv_nsec;
    }
    (void)fprintf(stderr, "storm: not registered in %u tries\n", o->count);
    return 1;
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    struct rlimit files = {.rlim_cur = 0};
    struct options o = {.to = {.sin_family = AF_INET}};

    if (argc != 10) {
        (void)fputs(
            "usage: storm silent|half|garbage|register|herd IP PORT GATEWAY-KEY FROM-IP SOURCES "
            "COUNT RATE SECONDS|KEY-FILE\n",
            stderr);
        return 2;
    }
    o.mode = strcmp(argv[1], "half") == 0      ? HALF
             : strcmp(argv[1], "garbage") == 0 ? GARBAGE
                                               : SILENT;
    (void)inet_pton(AF_INET, argv[2], &o.to.sin_addr);
    o.to.sin_port = htons((uint16_t)number(argv[3]));
    if (tun_key_parse(&o.gateway, argv[4], strlen(argv[4])) != ERR_OK)
        die("gateway key");
    o.from = ntohl(inet_addr(argv[5]));
    o.sources = number(argv[6]);
    o.count = number(argv[7]);
    o.rate = number(argv[8]);
    if (strcmp(argv[1], "register") == 0 || strcmp(argv[1], "herd") == 0)
        return do_register(&o, argv[9]);
    o.seconds = number(argv[9]);
    o.again = strchr(argv[9], '+') != NULL;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    make_hellos(&o);
    run(&o);
    return 0;
}
