/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS server for tests: one UDP socket on loopback, answers from a fixed table, on the loop of
 * the test. Names: "two.test" (A 192.0.2.1, 192.0.2.2; AAAA 2001:db8::1), "txt.test" (TXT),
 * "silent.test" (no answer), "broken.test" and what is under it (SERVFAIL); anything else is
 * NXDOMAIN.
 */
#ifndef TESTS_NET_DNS_SERVER_H
#define TESTS_NET_DNS_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/cur.h"
#include "bus/base/out.h"

#define DNS_A 1
#define DNS_TXT 16
#define DNS_AAAA 28

struct dns_server {
    struct ev_loop *loop;
    ev_io io;
    char servers[64]; /* "127.0.0.1:port", for net_resolver_config */
    int questions;
    const char *own_name; /* of the test's own TXT record; NULL = none. Set after _start */
    const char *own_text; /* at most 255 bytes */
};

/* The question's name, as dotted text. */
static inline void dns_name(struct cur *c, char out[256])
{
    size_t at = 0;
    uint8_t len;

    while ((len = cur_u8(c)) > 0 && len < 64 && at + len + 2 < 256) {
        if (at > 0)
            out[at++] = '.';
        cur_copy(c, out + at, len);
        at += len;
    }
    out[at] = '\0';
}

/* One answer record for the name of the question (pointer to offset 12). */
static inline void dns_record(struct out *o, uint16_t type, const void *data, size_t len)
{
    out_u16(o, 0xc00c);
    out_u16(o, type);
    out_u16(o, 1);
    out_u32(o, 1);
    out_u16(o, (uint16_t)len);
    out_bytes(o, data, len);
}

/* The test's own TXT record. */
static inline uint16_t dns_own(struct out *o, const char *text)
{
    uint8_t data[256];
    size_t len = strlen(text);

    data[0] = (uint8_t)len;
    memcpy(data + 1, text, len);
    dns_record(o, DNS_TXT, data, len + 1);
    return 1;
}

/* Append the answers; returns how many. */
static inline uint16_t dns_answers(struct out *o, const char *name, uint16_t type)
{
    static const uint8_t v4[2][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const char txt1[] = "\x05"
                               "hello",
                      txt2[] = "\x04"
                               "key="
                               "\x03"
                               "abc";

    if (strcmp(name, "two.test") == 0 && type == DNS_A) {
        dns_record(o, type, v4[0], 4);
        dns_record(o, type, v4[1], 4);
        return 2;
    }
    if (strcmp(name, "two.test") == 0 && type == DNS_AAAA) {
        dns_record(o, type, v6, 16);
        return 1;
    }
    if (strcmp(name, "txt.test") == 0 && type == DNS_TXT) {
        dns_record(o, type, txt1, sizeof(txt1) - 1);
        dns_record(o, type, txt2, sizeof(txt2) - 1);
        return 2;
    }
    return 0;
}

static inline void dns_on_question(struct ev_loop *loop, ev_io *w, int revents)
{
    struct dns_server *self = w->data;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t in[512], reply[1024], count_at[2];
    ssize_t n = recvfrom(w->fd, in, sizeof(in), 0, (struct sockaddr *)&from, &from_len);
    struct cur c = cur_init(in, n > 0 ? (size_t)n : 0);
    struct out o = out_init(reply, sizeof(reply));
    uint16_t id = cur_u16(&c), type, count;
    size_t question_len;
    char name[256];
    unsigned rcode;
    bool own;

    (void)loop;
    (void)revents;
    (void)cur_bytes(&c, 10);
    dns_name(&c, name);
    type = cur_u16(&c);
    (void)cur_u16(&c);
    self->questions++;
    if (c.bad || strcmp(name, "silent.test") == 0)
        return;
    question_len = (size_t)(c.p - in) - 12;
    own = self->own_name != NULL && strcmp(name, self->own_name) == 0;
    rcode = strlen(name) >= 11 && strcmp(name + strlen(name) - 11, "broken.test") == 0 ? 2
            : own || strcmp(name, "two.test") == 0 || strcmp(name, "txt.test") == 0    ? 0
                                                                                       : 3;
    out_u16(&o, id);
    out_u16(&o, (uint16_t)(0x8180 | rcode));
    out_u16(&o, 1);
    out_u16(&o, 0); /* answers: below */
    out_u32(&o, 0);
    out_bytes(&o, in + 12, question_len);
    count = own && type == DNS_TXT ? dns_own(&o, self->own_text) : dns_answers(&o, name, type);
    count_at[0] = (uint8_t)(count >> 8);
    count_at[1] = (uint8_t)count;
    memcpy(reply + 6, count_at, 2);
    (void)sendto(w->fd, reply, out_len(&o), 0, (struct sockaddr *)&from, from_len);
}

/* At ADDRESS ("127.0.0.1") and PORT; false when we may not. */
static inline bool dns_server_start_at(struct dns_server *self, struct ev_loop *loop,
                                       const char *address, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    inet_pton(AF_INET, address, &in.sin_addr);
    if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
        close(fd);
        return false;
    }
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    self->loop = loop;
    self->questions = 0;
    self->own_name = self->own_text = NULL;
    snprintf(self->servers, sizeof(self->servers), "127.0.0.1:%u", ntohs(in.sin_port));
    ev_io_init(&self->io, dns_on_question, fd, EV_READ);
    self->io.data = self;
    ev_io_start(loop, &self->io);
    return true;
}

static inline void dns_server_start(struct dns_server *self, struct ev_loop *loop)
{
    ck_assert(dns_server_start_at(self, loop, "127.0.0.1", 0));
}

static inline void dns_server_stop(struct dns_server *self)
{
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
}

#endif
