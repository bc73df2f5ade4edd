/* SPDX-License-Identifier: Apache-2.0 */
/* One round of attempts at a gateway; see round.h. */
#include "modules/connector/round.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/connector/lookup.h"
#include "modules/net/dial.h"
#include "modules/net/sock.h"

#define LOOKUP_MS 5000u
#define DIAL_MS 5000u /* one IP */
#define DIAL_QUICK_MS 2000u

static void begin_address(struct con_round *self);
static void begin_ip(struct con_round *self);

static const struct con_target *address(const struct con_round *self)
{
    size_t last = self->gateway->address_count - 1;

    return &self->gateway->addresses[self->address_at < last ? self->address_at : last];
}

/* The current IP is of no use: the next one, the next address, or the end of the round. */
static void next_ip(struct con_round *self)
{
    self->keys_tried = 0;
    if (++self->ip_at < self->ip_count) {
        begin_ip(self);
        return;
    }
    self->address_at++;
    begin_address(self);
}

/* The gateway did not answer to this key: another one on the same IP, or the next IP. */
static void next_key(struct con_round *self)
{
    self->key_at = (self->key_at + 1) % self->gateway->key_count;
    if (++self->keys_tried < self->gateway->key_count)
        begin_ip(self);
    else
        next_ip(self);
}

static void on_handshake(void *arg, const struct link_handshake_end *end)
{
    struct con_round *self = arg;

    if (end->rc == ERR_OK) {
        self->on_connected(self->arg, end);
        return;
    }
    con_failure_hello(&self->failure, address(self)->text, end->rc);
    next_key(self);
}

static void begin_handshake(struct con_round *self, int fd)
{
    struct tun_handshake_config tunnel = {.role = TUN_CONNECTOR,
                                          .own = self->context->identity,
                                          .peer = &self->gateway->keys[self->key_at],
                                          .connector = self->info,
                                          .on_offer = self->on_offer,
                                          .arg = self->arg};
    struct link_handshake_config cfg = {
        .fd = fd, .tunnel = &tunnel, .on_done = on_handshake, .arg = self};
    int rc = link_handshake_start(&self->handshake, self->context->loop, &cfg);

    if (rc == ERR_OK)
        return;
    close(fd);
    con_failure_hello(&self->failure, address(self)->text, rc);
    next_key(self);
}

static void on_dialled(void *arg, int rc, int fd, const struct addr *addr)
{
    struct con_round *self = arg;
    char text[ADDR_TEXT_MAX];
    int error = errno;

    self->dial = NULL;
    if (rc == ERR_OK) {
        net_sock_nodelay(fd);
        begin_handshake(self, fd);
        return;
    }
    addr_print(text, addr);
    errno = error;
    con_failure_dial(&self->failure, text, rc);
    next_ip(self);
}

static void begin_ip(struct con_round *self)
{
    struct net_dial_config cfg = {.addrs = &self->ips[self->ip_at],
                                  .count = 1,
                                  .timeout_ms = self->quick ? DIAL_QUICK_MS : DIAL_MS,
                                  .on_done = on_dialled,
                                  .arg = self};

    if (net_dial_start(&self->dial, self->context->loop, &cfg) == ERR_OK)
        return;
    con_failure_dial(&self->failure, address(self)->text, ERR_NOMEM);
    self->on_exhausted(self->arg);
}

static void on_resolved(void *arg, int rc, const struct addr *addrs, size_t count)
{
    struct con_round *self = arg;

    self->lookup = NULL;
    if (rc != ERR_OK) {
        con_failure_lookup(&self->failure, address(self)->text, rc);
        self->address_at++;
        begin_address(self);
        return;
    }
    memcpy(self->ips, addrs, count * sizeof(*addrs));
    self->ip_count = count;
    begin_ip(self);
}

static void begin_lookup(struct con_round *self)
{
    struct con_lookup_config cfg = {.loop = self->context->loop,
                                    .target = address(self),
                                    .timeout_ms = LOOKUP_MS,
                                    .on_done = on_resolved,
                                    .arg = self};

    if (con_lookup_start(&self->lookup, &cfg) == ERR_OK)
        return;
    con_failure_lookup(&self->failure, address(self)->text, ERR_NOMEM);
    self->on_exhausted(self->arg);
}

/* The address at address_at, or the end of the round. */
static void begin_address(struct con_round *self)
{
    self->ip_at = 0;
    if (self->address_at >= self->gateway->address_count) {
        self->on_exhausted(self->arg);
        return;
    }
    if (address(self)->host[0] != '\0') {
        begin_lookup(self);
        return;
    }
    self->ips[0] = address(self)->addr;
    self->ip_count = 1;
    begin_ip(self);
}

void con_round_begin(struct con_round *self)
{
    self->failure = (struct con_failure){0};
    self->address_at = 0;
    self->keys_tried = 0;
    begin_address(self);
}

void con_round_next(struct con_round *self)
{
    next_ip(self);
}

void con_round_cancel(struct con_round *self)
{
    con_lookup_cancel(self->lookup);
    self->lookup = NULL;
    net_dial_cancel(self->dial);
    self->dial = NULL;
    link_handshake_cancel(&self->handshake);
}

const char *con_round_address(const struct con_round *self)
{
    return address(self)->text;
}

const struct tun_public_key *con_round_key(const struct con_round *self)
{
    return &self->gateway->keys[self->key_at];
}

void con_round_prefer(struct con_round *self, const struct tun_public_key *key)
{
    self->key_at = 0;
    for (size_t i = 0; i < self->gateway->key_count; i++)
        if (tun_key_equal(&self->gateway->keys[i], key))
            self->key_at = i;
}
