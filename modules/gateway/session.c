/* SPDX-License-Identifier: Apache-2.0 */
/* One connector session; see session.h. */
#include "modules/gateway/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/key.h"

struct gw_session *gw_session_new(const struct tun_handshake_result *result,
                                  const struct addr *remote)
{
    const struct tun_connector_info *info = &result->connector;
    struct gw_session *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    memcpy(self->key_bytes, result->peer.bytes, GW_KEY_LEN);
    memcpy(self->instance, info->instance, sizeof(self->instance));
    self->gateway_key = result->own;
    self->epoch = info->epoch;
    self->home = self->remote = *remote;
    self->twin = info->twin <= UINT32_MAX ? (uint32_t)info->twin : UINT32_MAX; /* serves none */
    self->since_ms = clock_unix_ms();
    self->name = strdup(info->name);
    self->software = strdup(info->version);
    if (self->name != NULL && self->software != NULL)
        return self;
    gw_session_free(self);
    return NULL;
}

void gw_session_free(struct gw_session *self)
{
    if (self == NULL)
        return;
    link_session_free(self->links);
    free(self->name);
    free(self->software);
    free(self);
}

const char *gw_session_end_text(int rc)
{
    switch (rc) {
    case ERR_EOF:
    case ERR_SYS: /* reset instead of closed; its errno is long gone when this is shown */
        return "connection lost";
    case ERR_TIMEOUT:
        return "silent";
    case ERR_PROTO:
    case ERR_AUTH:
    case ERR_LIMIT:
        return "broke the protocol";
    default:
        return err_text(rc);
    }
}

const char *gw_session_lost_text(int rc, int error)
{
    if (rc == ERR_CANCELLED)
        return "replaced by a newer connection";
    if (rc == ERR_SYS && error == ETIMEDOUT) /* the kernel saw the silence before we did */
        return gw_session_end_text(ERR_TIMEOUT);
    return gw_session_end_text(rc);
}

struct tun_session *gw_session_tunnel(const struct gw_session *session)
{
    return session->listed ? link_session_tunnel(session->links) : NULL;
}

/* Whose the connector is, when it does not say: the twin its key belongs to. */
static bool is_of_twin(const struct gw_session *session, const struct gw_exposure *e)
{
    if (session->twin != 0)
        return session->twin == e->twin;
    for (size_t i = 0; e->foreign != 0 && i < e->backend_count; i++) {
        if ((e->foreign & 1u << i) != 0 &&
            memcmp(e->backends[i].key, session->key_bytes, GW_KEY_LEN) == 0)
            return false;
    }
    return true;
}

bool gw_session_serves(const struct gw_session *session, const struct gw_exposure *exposure)
{
    struct tun_session *tunnel = gw_session_tunnel(session);

    return tunnel != NULL && !session->draining && tun_session_usable(tunnel) &&
           is_of_twin(session, exposure);
}

bool gw_session_is_wanted(const struct gw_session *session, struct gw_site *const *sites,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (session->twin == 0 ||
            (sites[i]->exposure != NULL && sites[i]->exposure->twin == session->twin))
            return true;
    }
    return false;
}

const uint8_t *gw_session_key(const struct gw_session *session)
{
    return session->key_bytes;
}

void gw_session_goaway(struct gw_session *session, const struct tun_notice *notice)
{
    struct tun_session *tunnel = gw_session_tunnel(session);

    if (tunnel == NULL)
        return;
    session->leaving = true;
    tun_session_goaway(tunnel, notice);
    link_session_touch(session->links);
}

void gw_session_announce(struct gw_session *session, const struct gw_keyring *keys)
{
    const struct tun_public_key *key = gw_keyring_announce(keys, &session->gateway_key);
    struct tun_session *tunnel = gw_session_tunnel(session);

    if (key == NULL || tunnel == NULL)
        return;
    (void)tun_session_next_key(tunnel, key); /* no room: it hears it when it comes again */
    link_session_touch(session->links);
}

void gw_session_move(struct gw_session *session, uint32_t spread_ms)
{
    struct tun_notice notice = {.code = TUN_CODE_UPGRADE, .why = "a new process takes over"};

    notice.retry_ms = 1 + clock_random_u32() % (spread_ms + 1);
    gw_session_goaway(session, &notice);
}

/* The live links, and what the tunnel counts. */
static void add_links(const struct gw_session *session, struct tun_session *tunnel,
                      struct gw_session_info *out)
{
    struct link_info links[TUN_LINKS_MAX];
    struct tun_session_stats stats;
    size_t n = link_session_look(session->links, links, TUN_LINKS_MAX);

    tun_session_stats(tunnel, &stats);
    out->streams = stats.streams;
    out->streams_waiting = stats.waiting_streams;
    out->resumes = stats.resumes;
    out->rx_bytes = stats.rx_bytes;
    out->tx_bytes = stats.tx_bytes;
    for (size_t i = 0; i < n; i++) {
        uint32_t rtt_us = links[i].rtt_us;

        if (!links[i].live)
            continue;
        out->connections[out->links++] = links[i];
        if (out->rtt_us == 0 || (rtt_us > 0 && rtt_us < out->rtt_us))
            out->rtt_us = rtt_us;
    }
}

static const char *state_of(const struct gw_session *session, const struct gw_session_info *info)
{
    if (!session->listed)
        return "down";
    if (session->draining)
        return "draining";
    return info->links == 0 ? "waiting" : "up";
}

void gw_session_info(const struct gw_session *session, struct gw_session_info *out)
{
    struct tun_session *tunnel = gw_session_tunnel(session);

    *out = (struct gw_session_info){
        .epoch = session->epoch,
        .twin = session->twin,
        .name = session->name,
        .software = session->software,
        .home = session->home,
        .remote = session->remote,
        .since_ms = session->since_ms,
    };
    if (session->key != NULL)
        out->lost = session->key->lost;
    if (tunnel != NULL)
        add_links(session, tunnel, out);
    out->state = state_of(session, out);
    memcpy(out->key, session->key_bytes, GW_KEY_LEN);
    memcpy(out->gateway_key, session->gateway_key.bytes, GW_KEY_LEN);
    memcpy(out->instance, session->instance, sizeof(out->instance));
}
