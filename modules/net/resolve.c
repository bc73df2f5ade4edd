/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to addresses with c-ares; see resolve.h. c-ares may answer inside the call that asks,
 * and cannot drop one question alone: so an answer is kept and handed on from a zero-delay timer,
 * and a cancelled question stays, silent, until c-ares is done with it.
 */
#include "modules/net/resolve.h"

#include <ares.h>
#include <ev.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "bus/base/err.h"

#define DEFAULT_TIMEOUT_MS 5000
#define TRIES 3
#define SOCKETS_MAX 32 /* of one channel; c-ares uses one or two per server */
#define NAME_MAX_LEN 255
#define RESOLV_CONF "/etc/resolv.conf"
#define DNS_CLASS_IN 1
#define DNS_TYPE_TXT 16

/* Which state of the system's file the channel was made from. */
struct seen {
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct net_resolver {
    struct ev_loop *loop;
    ares_channel channel;
    const char *resolv_conf; /* NULL = servers of our own */
    struct seen seen;
    bool absolute;
    ev_timer timer; /* when c-ares wants to look at its own timeouts */
    ev_io sockets[SOCKETS_MAX];
    uint32_t timeout_ms;
    TAILQ_HEAD(, net_resolve) open;
};

struct net_resolve {
    TAILQ_ENTRY(net_resolve) entry;
    struct net_resolver *resolver;
    ev_timer answer; /* zero delay once c-ares answered; before that the limit of the question */
    bool asking;     /* c-ares still holds a pointer to us */
    bool cancelled;  /* the user does not */
    int rc;
    uint16_t port;
    net_resolve_addrs_fn *on_addrs;
    net_resolve_texts_fn *on_texts;
    void *arg;
    struct addr *addrs;
    char *texts[NET_RESOLVE_TEXTS_MAX];
    size_t count;
};

static void question_free(struct net_resolve *self)
{
    ev_timer_stop(self->resolver->loop, &self->answer);
    TAILQ_REMOVE(&self->resolver->open, self, entry);
    if (self->on_texts != NULL)
        for (size_t i = 0; i < self->count; i++)
            free(self->texts[i]);
    free(self->addrs);
    free(self);
}

/* c-ares' errors in our words. */
static int convert(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return ERR_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return ERR_NOENT;
    case ARES_ETIMEOUT:
        return ERR_TIMEOUT;
    case ARES_ENOMEM:
        return ERR_NOMEM;
    case ARES_EBADNAME:
    case ARES_EBADFAMILY:
        return ERR_INVALID;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return ERR_CANCELLED;
    default:
        return ERR_REFUSED;
    }
}

/* ---- c-ares <-> the loop ---------------------------------------------------------------- */

/* c-ares tells when its next timeout is due; asked after everything that may change it. */
static void aim(struct net_resolver *self)
{
    struct timeval max = {.tv_sec = 1}, tv;
    struct timeval *next = ares_timeout(self->channel, &max, &tv);

    ev_timer_stop(self->loop, &self->timer);
    if (TAILQ_EMPTY(&self->open))
        return;
    ev_now_update(self->loop);
    ev_timer_set(&self->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6, 0.0);
    ev_timer_start(self->loop, &self->timer);
}

static void on_socket(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_resolver *self = w->data;
    ares_socket_t in = revents & EV_READ ? w->fd : ARES_SOCKET_BAD;
    ares_socket_t out = revents & EV_WRITE ? w->fd : ARES_SOCKET_BAD;

    (void)loop;
    ares_process_fd(self->channel, in, out);
    aim(self);
}

static void on_ares_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_resolver *self = w->data;

    (void)loop;
    (void)revents;
    ares_process_fd(self->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    aim(self);
}

/* c-ares opens, watches or (READ and WRITE 0) is about to close a socket of its own. */
static void on_socket_state(void *arg, ares_socket_t fd, int read, int write)
{
    struct net_resolver *self = arg;
    int want = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);
    ev_io *w = NULL;

    for (int i = 0; i < SOCKETS_MAX && (w == NULL || w->fd != fd); i++)
        if (self->sockets[i].fd == fd || (w == NULL && self->sockets[i].fd < 0))
            w = &self->sockets[i];
    if (w == NULL)
        return; /* more sockets than we follow: that server's question times out */
    ev_io_stop(self->loop, w);
    ev_io_set(w, want != 0 ? fd : -1, want);
    if (want != 0)
        ev_io_start(self->loop, w);
}

/* ---- answers ------------------------------------------------------------------------------ */

/* c-ares is done with SELF. The callback of the user comes from the loop, never from here. */
static void answered(struct net_resolve *self, int rc)
{
    self->asking = false;
    if (self->cancelled) {
        question_free(self);
        return;
    }
    self->rc = rc;
    ev_timer_stop(self->resolver->loop, &self->answer);
    ev_timer_set(&self->answer, 0.0, 0.0);
    ev_timer_start(self->resolver->loop, &self->answer);
}

static int keep_addrs(struct net_resolve *self, const struct ares_addrinfo *info)
{
    self->addrs = calloc(NET_RESOLVE_ADDRS_MAX, sizeof(self->addrs[0]));
    if (self->addrs == NULL)
        return ERR_NOMEM;
    for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next) {
        struct addr *to = &self->addrs[self->count];

        if (self->count == NET_RESOLVE_ADDRS_MAX || n->ai_addrlen > sizeof(to->ss))
            continue;
        memcpy(&to->ss, n->ai_addr, n->ai_addrlen);
        to->len = (socklen_t)n->ai_addrlen;
        if (n->ai_family == AF_INET)
            ((struct sockaddr_in *)&to->ss)->sin_port = htons(self->port);
        else if (n->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)&to->ss)->sin6_port = htons(self->port);
        else
            continue;
        self->count++;
    }
    return self->count > 0 ? ERR_OK : ERR_NOENT;
}

static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct net_resolve *self = arg;
    int rc = convert(status);

    (void)timeouts;
    if (rc == ERR_OK && !self->cancelled)
        rc = keep_addrs(self, info);
    if (info != NULL)
        ares_freeaddrinfo(info);
    answered(self, rc);
}

/* Append PART to the text at index self->count - 1. */
static int join_text(struct net_resolve *self, const struct ares_txt_ext *part)
{
    char **text = &self->texts[self->count - 1];
    size_t have = *text != NULL ? strlen(*text) : 0;
    char *grown = realloc(*text, have + part->length + 1);

    if (grown == NULL)
        return ERR_NOMEM;
    memcpy(grown + have, part->txt, part->length);
    grown[have + part->length] = '\0';
    *text = grown;
    return ERR_OK;
}

/* A record is a chain of parts of at most 255 bytes; the first of each is marked. */
static int keep_texts(struct net_resolve *self, const uint8_t *packet, int len)
{
    struct ares_txt_ext *list = NULL;
    int rc = convert(ares_parse_txt_reply_ext(packet, len, &list));

    for (const struct ares_txt_ext *part = list; part != NULL && rc == ERR_OK; part = part->next) {
        if (part->record_start && self->count == NET_RESOLVE_TEXTS_MAX)
            break;
        if (part->record_start)
            self->count++;
        if (self->count > 0)
            rc = join_text(self, part);
    }
    if (list != NULL)
        ares_free_data(list);
    if (rc == ERR_OK && self->count == 0)
        rc = ERR_NOENT;
    return rc;
}

static void on_packet(void *arg, int status, int timeouts, unsigned char *packet, int len)
{
    struct net_resolve *self = arg;
    int rc = convert(status);

    (void)timeouts;
    if (rc == ERR_OK && !self->cancelled)
        rc = keep_texts(self, packet, len);
    answered(self, rc);
}

/* Tell the user; SELF is gone (or left to c-ares, cancelled) when the callback returns. */
static void on_answer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_resolve *self = w->data;
    struct net_resolve copy;

    (void)revents;
    ev_timer_stop(loop, w);
    if (self->asking) { /* the limit of the whole question passed */
        copy = (struct net_resolve){.rc = ERR_TIMEOUT,
                                    .on_addrs = self->on_addrs,
                                    .on_texts = self->on_texts,
                                    .arg = self->arg};
        self->cancelled = true;
    } else { /* the copy takes the answer over */
        copy = *self;
        self->addrs = NULL;
        self->count = 0;
        question_free(self);
    }
    if (copy.on_addrs != NULL)
        copy.on_addrs(copy.arg, copy.rc, copy.addrs, copy.rc == ERR_OK ? copy.count : 0);
    else
        copy.on_texts(copy.arg, copy.rc, (const char *const *)copy.texts,
                      copy.rc == ERR_OK ? copy.count : 0);
    free(copy.addrs);
    for (size_t i = 0; copy.on_texts != NULL && i < copy.count; i++)
        free(copy.texts[i]);
}

/* ---- verbs -------------------------------------------------------------------------------- */

/* A literal is its own answer; c-ares would send some of them to the servers. */
static bool keep_literal(struct net_resolve *self, const char *name)
{
    struct addr addr;

    if (self->on_addrs == NULL || addr_from_ip(&addr, name, self->port) != ERR_OK)
        return false;
    self->addrs = malloc(sizeof(addr));
    if (self->addrs != NULL)
        self->addrs[self->count++] = addr;
    answered(self, self->addrs != NULL ? ERR_OK : ERR_NOMEM);
    return true;
}

static void ask(struct net_resolve *self, const char *name)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (keep_literal(self, name))
        return;
    self->asking = true;
    if (self->on_addrs != NULL)
        ares_getaddrinfo(self->resolver->channel, name, NULL, &hints, on_addrinfo, self);
    else
        ares_query(self->resolver->channel, name, DNS_CLASS_IN, DNS_TYPE_TXT, on_packet, self);
}

/* A channel with our options and servers. Returns 0, ERR_NOMEM or ERR_INVALID (servers). */
static int open_channel(struct net_resolver *self, ares_channel *out, const char *servers)
{
    struct ares_options options = {
        .timeout = (int)(self->timeout_ms / TRIES),
        .tries = TRIES,
        .resolvconf_path = (char *)(uintptr_t)(self->resolv_conf ? self->resolv_conf : RESOLV_CONF),
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = self,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;

    if (self->absolute) /* ares_getaddrinfo does not heed ARES_FLAG_NOSEARCH */
        mask |= ARES_OPT_DOMAINS;
    if (ares_init_options(out, &options, mask) != ARES_SUCCESS)
        return ERR_NOMEM;
    if (servers == NULL || *servers == '\0')
        return ERR_OK;
    if (ares_set_servers_ports_csv(*out, servers) == ARES_SUCCESS)
        return ERR_OK;
    ares_destroy(*out);
    return ERR_INVALID;
}

static struct seen look(const struct net_resolver *self)
{
    struct stat st;

    if (self->resolv_conf == NULL || stat(self->resolv_conf, &st) != 0)
        return (struct seen){0};
    return (struct seen){st.st_ino, st.st_size, st.st_mtim};
}

/* The system has other servers now: what was asked of the old ones is answered as cancelled. */
static void follow_system(struct net_resolver *self)
{
    struct seen now = look(self);
    ares_channel next;

    if (now.ino == self->seen.ino && now.size == self->seen.size &&
        now.changed.tv_sec == self->seen.changed.tv_sec &&
        now.changed.tv_nsec == self->seen.changed.tv_nsec)
        return;
    if (open_channel(self, &next, NULL) != ERR_OK)
        return; /* out of memory: the next question looks again */
    ares_destroy(self->channel);
    self->channel = next;
    self->seen = now;
}

int net_resolve_start(struct net_resolve **out, struct net_resolver *resolver,
                      const struct net_resolve_question *question)
{
    struct net_resolve *self;

    if ((question->on_addrs == NULL) == (question->on_texts == NULL) || question->name == NULL ||
        strlen(question->name) > NAME_MAX_LEN)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->resolver = resolver;
    self->port = question->port;
    self->on_addrs = question->on_addrs;
    self->on_texts = question->on_texts;
    self->arg = question->arg;
    TAILQ_INSERT_TAIL(&resolver->open, self, entry);
    ev_now_update(resolver->loop);
    ev_timer_init(&self->answer, on_answer, (double)resolver->timeout_ms / 1000.0, 0.0);
    self->answer.data = self;
    ev_timer_start(resolver->loop, &self->answer);
    follow_system(resolver);
    ask(self, question->name);
    aim(resolver);
    *out = self;
    return ERR_OK;
}

void net_resolve_cancel(struct net_resolve *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->resolver->loop, &self->answer);
    self->cancelled = true;
    if (!self->asking)
        question_free(self);
}

/* Its count of users is not made for threads (ares_library_init(3)); so it has one, for ever. */
static pthread_once_t library = PTHREAD_ONCE_INIT;

static void init_library(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL); /* can't fail on this system */
}

int net_resolver_new(struct net_resolver **out, struct ev_loop *loop,
                     const struct net_resolver_config *cfg)
{
    struct net_resolver *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : DEFAULT_TIMEOUT_MS;
    self->absolute = cfg->absolute;
    if (cfg->servers == NULL || *cfg->servers == '\0')
        self->resolv_conf = cfg->resolv_conf != NULL ? cfg->resolv_conf : RESOLV_CONF;
    self->seen = look(self);
    TAILQ_INIT(&self->open);
    (void)pthread_once(&library, init_library);
    ev_init(&self->timer, on_ares_timer);
    self->timer.data = self;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        ev_io_init(&self->sockets[i], on_socket, -1, 0);
        self->sockets[i].data = self;
    }
    rc = open_channel(self, &self->channel, cfg->servers);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void net_resolver_free(struct net_resolver *self)
{
    struct net_resolve *q, *next;

    if (self == NULL)
        return;
    TAILQ_FOREACH(q, &self->open, entry)
    {
        ev_timer_stop(self->loop, &q->answer);
        q->cancelled = true;
    }
    ares_destroy(self->channel); /* answers every open question, which frees it */
    for (q = TAILQ_FIRST(&self->open); q != NULL; q = next) {
        next = TAILQ_NEXT(q, entry);
        question_free(q); /* was answered, not yet told */
    }
    ev_timer_stop(self->loop, &self->timer);
    for (int i = 0; i < SOCKETS_MAX; i++)
        ev_io_stop(self->loop, &self->sockets[i]);
    free(self);
}
