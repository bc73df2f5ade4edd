/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters between the first worker and the others, with copies of what they are about. There are as
 * many that begin and end sessions as the first worker admits; of the rest, what is a state is told
 * again when there was no place for it, and what is an event is not.
 */
#include "modules/gateway/tidings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/admission.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/net/mail.h"

#define RETELL_S 0.2

/* --- sessions and links --- */

struct session_news {
    struct net_letter letter;
    struct gw_session_info info; /* name and software are its own */
    bool up;
    const char *why; /* fixed text */
    bool is_link;    /* then of one link */
    struct gw_link_news link;
    struct addr remote;
};

static void drop_session(struct net_letter *letter)
{
    struct session_news *self = (struct session_news *)letter;

    free((char *)(uintptr_t)self->info.name);
    free((char *)(uintptr_t)self->info.software);
    free(self);
}

static void open_session(struct net_letter *letter, void *reader)
{
    const struct session_news *self = (const struct session_news *)letter;
    const struct gw_worker *chief = reader;
    const struct gw_events *events = &chief->events;

    if (!self->is_link)
        gw_admission_session(chief->admission, &self->info.home, self->up);
    if (self->is_link && events->on_link != NULL)
        events->on_link(events->arg, &self->info, &self->link);
    else if (!self->is_link && events->on_session != NULL)
        events->on_session(events->arg, &self->info, self->up, self->why);
    drop_session(letter);
}

/* Without memory it is not told: control asks for everything now and then. */
static struct session_news *session_news(const struct gw_session_info *info)
{
    struct session_news *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->letter = (struct net_letter){.open = open_session, .drop = drop_session};
    self->info = *info;
    self->info.name = strdup(info->name);
    self->info.software = strdup(info->software);
    if (self->info.name != NULL && self->info.software != NULL)
        return self;
    drop_session(&self->letter);
    return NULL;
}

static void on_session(void *arg, const struct gw_session_info *info, bool up, const char *why)
{
    const struct gw_worker *self = arg;
    struct session_news *news = session_news(info);

    if (news == NULL)
        return;
    news->up = up;
    news->why = why;
    net_mail_push(self->post->to[0], &news->letter);
}

static void on_link(void *arg, const struct gw_session_info *info, const struct gw_link_news *link)
{
    const struct gw_worker *self = arg;
    struct session_news *news = session_news(info);

    if (news == NULL)
        return;
    news->is_link = true;
    news->link = *link;
    if (link->remote != NULL) {
        news->remote = *link->remote;
        news->link.remote = &news->remote;
    }
    if (net_mail_post(self->post->to[0], &news->letter) != ERR_OK)
        drop_session(&news->letter);
}

/* --- exposures --- */

struct site_news {
    struct net_letter letter;
    char id[GW_ID_MAX];
    unsigned from;
    unsigned online;
    struct gw_last_error error; /* `what` is its own; NULL: this is about `online` */
};

static void drop_site(struct net_letter *letter)
{
    struct site_news *self = (struct site_news *)letter;

    free((char *)(uintptr_t)self->error.what);
    free(self);
}

static void tell_online(struct gw_worker *chief, const struct site_news *news)
{
    struct gw_site *site = gw_routes_by_id(chief->routes, news->id);

    if (site == NULL || site->home != news->from)
        return; /* it is being left there */
    site->online_there = news->online;
    if (chief->events.on_online != NULL)
        chief->events.on_online(chief->events.arg, site->id, news->online);
}

static void open_site(struct net_letter *letter, void *reader)
{
    const struct site_news *self = (const struct site_news *)letter;
    struct gw_worker *chief = reader;

    if (self->error.what == NULL)
        tell_online(chief, self);
    else if (chief->events.on_last_error != NULL)
        chief->events.on_last_error(chief->events.arg, self->id, &self->error);
    drop_site(letter);
}

static struct site_news *site_news(const struct gw_worker *self, const char *id)
{
    struct site_news *news = calloc(1, sizeof(*news));

    if (news == NULL)
        return NULL;
    news->letter = (struct net_letter){.open = open_site, .drop = drop_site};
    news->from = self->front.index;
    (void)snprintf(news->id, sizeof(news->id), "%s", id);
    return news;
}

/* 0, ERR_NOMEM or ERR_LIMIT. */
static int tell_of(const struct gw_worker *self, const char *id, unsigned online)
{
    struct site_news *news = site_news(self, id);
    int rc;

    if (news == NULL)
        return ERR_NOMEM;
    news->online = online;
    rc = net_mail_post(self->post->to[0], &news->letter);
    if (rc != ERR_OK)
        drop_site(&news->letter);
    return rc;
}

static void retell_later(struct gw_worker *self)
{
    if (ev_is_active(&self->retell))
        return;
    ev_timer_set(&self->retell, RETELL_S, 0.0);
    ev_timer_start(self->loop, &self->retell);
}

static void on_online(void *arg, const char *id, unsigned online)
{
    struct gw_worker *self = arg;

    if (tell_of(self, id, online) != ERR_OK)
        retell_later(self);
}

/* Which ones were not told is not known: all. */
static void on_retell(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_worker *self = w->data;
    const struct gw_site *site;
    size_t at = 0;

    (void)loop;
    (void)revents;
    while ((site = gw_routes_next(self->routes, &at)) != NULL) {
        if (site->exposure == NULL || site->home != self->front.index)
            continue;
        if (tell_of(self, site->id, site->online) != ERR_OK) {
            retell_later(self);
            return;
        }
    }
}

/* As many as there are visitors: with too many of them waiting this one is not told. */
static void on_last_error(void *arg, const char *id, const struct gw_last_error *error)
{
    const struct gw_worker *self = arg;
    struct site_news *news = site_news(self, id);

    if (news == NULL)
        return;
    news->error = *error;
    news->error.what = strdup(error->what);
    if (news->error.what == NULL || net_mail_post(self->post->to[0], &news->letter) != ERR_OK)
        drop_site(&news->letter);
}

/* --- the end --- */

struct end_news {
    struct net_letter letter;
    unsigned from;
};

static void drop_end(struct net_letter *letter)
{
    free(letter);
}

static void open_end(struct net_letter *letter, void *reader)
{
    unsigned from = ((struct end_news *)letter)->from;

    free(letter);
    gw_worker_ended(reader, from); /* the reader may be gone */
}

int gw_tidings_begin(struct gw_worker *self)
{
    struct end_news *news = calloc(1, sizeof(*news));

    if (news == NULL)
        return ERR_NOMEM;
    news->letter = (struct net_letter){.open = open_end, .drop = drop_end};
    news->from = self->front.index;
    self->farewell = &news->letter;
    ev_init(&self->retell, on_retell);
    self->retell.data = self;
    self->events = (struct gw_events){on_session, on_link, on_online, on_last_error, self};
    return ERR_OK;
}

void gw_tidings_ended(void *arg)
{
    struct gw_worker *self = arg;
    struct net_letter *letter = self->farewell;

    self->farewell = NULL;
    if (letter != NULL)
        net_mail_push(self->post->to[0], letter);
}

/* --- connectors --- */

struct offer {
    struct net_letter letter;
    struct tun_handshake_result result;
    struct addr remote;
    int fd;
};

static void offer_free(struct offer *self)
{
    tun_handshake_result_wipe(&self->result);
    free(self);
}

static void drop_offer(struct net_letter *letter)
{
    struct offer *self = (struct offer *)letter;

    close(self->fd);
    offer_free(self);
}

static void open_offer(struct net_letter *letter, void *reader)
{
    struct offer *self = (struct offer *)letter;

    (void)gw_worker_offer(reader, &self->result, self->fd, &self->remote);
    offer_free(self);
}

int gw_tidings_offer(struct gw_worker *self, unsigned to, const struct tun_handshake_result *result,
                     int fd, const struct addr *remote)
{
    struct offer *offer = calloc(1, sizeof(*offer));

    if (offer == NULL) {
        close(fd);
        return ERR_NOMEM;
    }
    offer->letter = (struct net_letter){.open = open_offer, .drop = drop_offer};
    offer->result = *result; /* has keys: at once to where it is wiped, by no way of the stack */
    offer->remote = *remote;
    offer->fd = fd;
    net_unwatch(&self->front.unwatch, fd);
    net_mail_push(self->post->to[to], &offer->letter); /* as many as are admitted */
    return ERR_OK;
}
