/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hops with one connection between them, and hardly more: two processes that read what is
 * ready, put it behind a header into one buffer, and send that once per turn. Nothing is encrypted,
 * limited, timed or counted, and who does not read holds everybody up. The processor time that
 * netwall needs beyond this is what its work costs; the rest is that of its shape.
 *
 * bare VISITORS SERVICE [VISITORS SERVICE]: ports of 127.0.0.1, to listen on and to connect to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICES_MAX 4
#define CONNS_MAX 65536u /* a power of two */
#define EVENTS_MAX 64
#define READ_BYTES 65536u
#define OUT_BYTES (EVENTS_MAX * (READ_BYTES + 64))
#define IN_BYTES (1u << 20)
#define BACKLOG 4096

/* What epoll tells, beside the numbers of connections. */
#define TUNNEL 0u
#define LISTENERS UINT32_C(0xffff0000) /* the first one's */

/* In front of the LEN bytes that came from one connection; 0 = it begins, and later: it ended. */
struct frame {
    uint32_t id;      /* rises from 1 */
    uint32_t service; /* which one it is for, when it begins */
    uint32_t len;
};

struct conn {
    uint32_t id; /* 0 = none */
    int fd;
};

static int poll_fd, tunnel_fd;
static bool is_edge;
static int listeners[SERVICES_MAX];
static uint16_t ports[SERVICES_MAX]; /* of the services */
static struct conn conns[CONNS_MAX];
static uint32_t last_id;
static uint8_t out[OUT_BYTES], in[IN_BYTES];
static size_t out_len, in_len;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    must(fd >= 0, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what is accepted has it */
    return fd;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = loopback(port);
    int fd = new_socket();

    must(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
    must(listen(fd, BACKLOG) == 0, "listen");
    return fd;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in at = loopback(port);
    int fd = new_socket();

    must(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
    return fd;
}

static void watch(int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

    must(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* ---- connections of visitors and to services ----------------------------------------------- */

static struct conn *conn_of(uint32_t id)
{
    struct conn *conn = &conns[id % CONNS_MAX];

    return conn->id == id ? conn : NULL;
}

static void add(uint32_t id, int fd)
{
    struct conn *conn = &conns[id % CONNS_MAX];

    must(conn->id == 0, "too many connections");
    *conn = (struct conn){.id = id, .fd = fd};
    watch(fd, id);
}

static void end(struct conn *conn)
{
    (void)close(conn->fd);
    conn->id = 0;
}

/* FRAME, whose bytes are in their place already. */
static void put(const struct frame *frame)
{
    memcpy(out + out_len, frame, sizeof(*frame));
    out_len += sizeof(*frame) + frame->len;
}

static void on_visitor(uint32_t service)
{
    int fd = accept4(listeners[service], NULL, NULL, 0);

    must(fd >= 0, "accept");
    add(++last_id, fd);
    put(&(struct frame){.id = last_id, .service = service});
}

static void on_readable(struct conn *conn)
{
    uint8_t *place = out + out_len + sizeof(struct frame);
    ssize_t n = recv(conn->fd, place, READ_BYTES, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    put(&(struct frame){.id = conn->id, .len = n > 0 ? (uint32_t)n : 0});
    if (n <= 0)
        end(conn);
}

/* ---- what is between the two --------------------------------------------------------------- */

/* Of a connection that ended here meanwhile nothing is wanted any more. */
static void take(const struct frame *frame, const uint8_t *data)
{
    struct conn *conn = conn_of(frame->id);

    if (conn != NULL && frame->len > 0) {
        (void)send(conn->fd, data, frame->len, MSG_NOSIGNAL); /* the next read finds what failed */
    } else if (conn != NULL) {
        end(conn);
    } else if (!is_edge && frame->id > last_id) {
        last_id = frame->id;
        add(frame->id, connect_to(ports[frame->service]));
    }
}

static void on_tunnel(void)
{
    ssize_t n = recv(tunnel_fd, in + in_len, sizeof(in) - in_len, MSG_DONTWAIT);
    struct frame frame;
    size_t at = 0;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        exit(0); /* the other one ended */
    in_len += (size_t)n;
    while (in_len - at >= sizeof(frame)) {
        memcpy(&frame, in + at, sizeof(frame));
        if (in_len - at - sizeof(frame) < frame.len)
            break;
        take(&frame, in + at + sizeof(frame));
        at += sizeof(frame) + frame.len;
    }
    memmove(in, in + at, in_len - at);
    in_len -= at;
}

static void flush(void)
{
    for (size_t at = 0; at < out_len;) {
        ssize_t n = send(tunnel_fd, out + at, out_len - at, MSG_NOSIGNAL);

        must(n > 0, "send");
        at += (size_t)n;
    }
    out_len = 0;
}

static void on_event(uint32_t what)
{
    struct conn *conn;

    if (what == TUNNEL) {
        on_tunnel();
    } else if (what >= LISTENERS) {
        on_visitor(what - LISTENERS);
    } else {
        conn = conn_of(what);
        if (conn != NULL)
            on_readable(conn);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++)
            on_event(events[i].data.u32);
        flush();
    }
}

/* ---- start --------------------------------------------------------------------------------- */

static uint16_t port_of(const char *text)
{
    long port = strtol(text, NULL, 10);

    errno = EINVAL;
    must(port > 0 && port <= UINT16_MAX, text);
    return (uint16_t)port;
}

/* The two ends of what is between the two: a TCP connection, as between gateway and connector. */
static void connect_both(int ends[2])
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int listener = listen_on(0);

    must(getsockname(listener, (struct sockaddr *)&at, &len) == 0, "getsockname");
    ends[0] = connect_to(ntohs(at.sin_port));
    ends[1] = accept4(listener, NULL, NULL, 0);
    must(ends[1] >= 0, "accept");
    (void)close(listener);
}

int main(int argc, char **argv)
{
    int ends[2], services = (argc - 1) / 2;
    pid_t child;

    if (argc < 3 || argc % 2 == 0 || services > SERVICES_MAX) {
        (void)fprintf(stderr, "usage: bare VISITORS SERVICE [VISITORS SERVICE]\n");
        return 2;
    }
    connect_both(ends);
    for (int i = 0; i < services; i++)
        ports[i] = port_of(argv[2 + 2 * i]);
    child = fork();
    must(child >= 0, "fork");
    is_edge = child > 0;
    if (!is_edge)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    tunnel_fd = ends[is_edge ? 0 : 1];
    (void)close(ends[is_edge ? 1 : 0]);
    poll_fd = epoll_create1(0);
    must(poll_fd >= 0, "epoll_create1");
    watch(tunnel_fd, TUNNEL);
    for (int i = 0; is_edge && i < services; i++) {
        listeners[i] = listen_on(port_of(argv[1 + 2 * i]));
        watch(listeners[i], LISTENERS + (uint32_t)i);
    }
    run();
}
