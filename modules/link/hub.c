/* SPDX-License-Identifier: Apache-2.0 */
/* What the sessions of one loop share; see hub.h. */
#include "modules/link/hub.h"

#include <stdlib.h>

#include "bus/base/err.h"
#include "modules/link/farewell.h"
#include "modules/link/session_impl.h"
#include "modules/net/hangup.h"

/*
 * The walk. A flush may end sessions, make others dirty, or free any of them, so only the head of
 * the list is ever looked at. A session that becomes dirty again after its own flush does not
 * rejoin (link_session_touch), so the walk ends.
 */
static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct link_hub *self = w->data;
    struct link_session *session;

    (void)revents;
    self->pass++;
    self->walking = true;
    while ((session = TAILQ_FIRST(&self->dirty)) != NULL) {
        link_hub_remove(self, session);
        session->flushed = self->pass;
        link_session_flush(session);
    }
    self->walking = false;
    ev_prepare_stop(loop, w);
}

void link_hub_add(struct link_hub *self, struct link_session *session)
{
    if (session->dirty)
        return;
    session->dirty = true;
    TAILQ_INSERT_TAIL(&self->dirty, session, entry);
    ev_prepare_start(self->loop, &self->turn_end);
}

void link_hub_remove(struct link_hub *self, struct link_session *session)
{
    if (!session->dirty)
        return;
    session->dirty = false;
    TAILQ_REMOVE(&self->dirty, session, entry);
}

int link_hub_lend(struct link_hub *self, struct buf *out)
{
    if (self->spares == 0)
        return buf_init(out, LINK_OUT_BYTES);
    *out = self->spare[--self->spares];
    return ERR_OK;
}

void link_hub_return(struct link_hub *self, struct buf *out)
{
    buf_consume(out, out->len);
    if (out->cap > 0 && self->spares < HUB_SPARE_MAX) {
        self->spare[self->spares++] = *out;
        *out = (struct buf){0};
        return;
    }
    buf_deinit(out);
}

int link_hub_new(struct link_hub **out, struct ev_loop *loop)
{
    struct link_hub *self = calloc(1, sizeof(*self));
    int rc = ERR_NOMEM;

    if (self == NULL)
        return ERR_NOMEM;
    self->scratch = malloc(LINK_READ_BYTES);
    if (self->scratch == NULL)
        goto free_self;
    rc = net_hangup_new(&self->hangup, loop);
    if (rc != ERR_OK)
        goto free_self;
    self->loop = loop;
    TAILQ_INIT(&self->dirty);
    TAILQ_INIT(&self->farewells);
    ev_prepare_init(&self->turn_end, on_turn_end);
    self->turn_end.data = self;
    *out = self;
    return ERR_OK;

free_self:
    free(self->scratch);
    free(self);
    return rc;
}

bool link_hub_is_idle(const struct link_hub *self)
{
    return TAILQ_EMPTY(&self->dirty) && TAILQ_EMPTY(&self->farewells);
}

void link_hub_free(struct link_hub *self)
{
    if (self == NULL)
        return;
    while (!TAILQ_EMPTY(&self->farewells))
        link_farewell_free(TAILQ_FIRST(&self->farewells));
    ev_prepare_stop(self->loop, &self->turn_end);
    net_hangup_free(self->hangup);
    while (self->spares > 0)
        buf_deinit(&self->spare[--self->spares]);
    free(self->scratch);
    free(self);
}
