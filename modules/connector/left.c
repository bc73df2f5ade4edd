/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions with one gateway that are being left; see left.h. */
#include "modules/connector/left.h"

#include <assert.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

bool con_left_has_room(const struct con_left *self)
{
    return self->count < CON_LEFT_MAX;
}

void con_left_keep(struct con_left *self, uint64_t id, struct con_session *session)
{
    assert(self->count < CON_LEFT_CAP);
    self->items[self->count].id = id;
    self->items[self->count++].session = session;
}

void con_left_drain(struct con_left *self, uint64_t id, struct con_session *session)
{
    con_left_keep(self, id, session);
    con_session_drain(session);
}

void con_left_close(struct con_left *self, uint64_t id, struct con_session *session)
{
    con_left_keep(self, id, session);
    con_session_close(session);
}

static void tell_end(const struct con_session_end *end, const char *gateway)
{
    if (end->notice != NULL)
        LOG_INFO("the gateway ended the tunnel", KV_S("gateway", gateway),
                 KV_S("code", tun_code_name(end->notice->code)), KV_S("why", end->notice->why));
    else if (end->rc != ERR_CANCELLED)
        LOG_WARN("a tunnel that was being left is lost", KV_S("gateway", gateway),
                 KV_S("why", err_text(end->rc)));
}

bool con_left_forget(struct con_left *self, const struct con_session_end *end, const char *gateway)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->items[i].id != end->id)
            continue;
        self->items[i] = self->items[--self->count];
        tell_end(end, gateway);
        return true;
    }
    return false;
}

struct con_session *con_left_find(const struct con_left *self, uint64_t id)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->items[i].id == id)
            return self->items[i].session;
    return NULL;
}

void con_left_drain_all(struct con_left *self)
{
    for (size_t i = 0; i < self->count; i++)
        con_session_drain(self->items[i].session);
}

unsigned con_left_streams(const struct con_left *self)
{
    unsigned streams = 0;

    for (size_t i = 0; i < self->count; i++)
        streams += con_session_streams(self->items[i].session);
    return streams;
}

void con_left_hurry(struct con_left *self)
{
    for (size_t i = 0; i < self->count; i++)
        con_session_close(self->items[i].session);
}

void con_left_deinit(struct con_left *self)
{
    while (self->count > 0)
        con_session_free(self->items[--self->count].session);
}
