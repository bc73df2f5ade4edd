/* SPDX-License-Identifier: Apache-2.0 */
/* The EXPOSURES list of one session; see tell.h. */
#include "modules/gateway/tell.h"

#include <stdlib.h>
#include <string.h>

#define TELL_MAX 256 /* lines of one list */

struct telling {
    struct tun_exposure lines[TELL_MAX];
    size_t count;
    const struct gw_site *sites[TELL_MAX]; /* that have lines */
    size_t site_count;
};

static void add_line(struct telling *t, const struct gw_exposure *e, const char *service,
                     const char *url, size_t url_len)
{
    struct tun_exposure *line;

    if (t->count == TELL_MAX || url_len > TUN_URL_MAX)
        return;
    line = &t->lines[t->count++];
    *line = (struct tun_exposure){0};
    strcpy(line->workload, e->id);
    strcpy(line->service, service);
    memcpy(line->url, url, url_len);
}

/* One line per public URL of the exposure. */
static void add_exposure(struct telling *t, const struct gw_exposure *e, const char *service)
{
    const char *at = e->urls != NULL ? e->urls : "";
    size_t n;

    do {
        n = strcspn(at, " ");
        add_line(t, e, service, at, n);
        at += n + (at[n] == ' ');
    } while (*at != '\0');
}

static void add_site(struct telling *t, const struct gw_session *session,
                     const struct gw_site *site)
{
    const struct gw_exposure *e = site->exposure;

    if (e == NULL || !gw_session_serves(session, e))
        return;
    for (size_t i = 0; i < e->backend_count; i++) {
        if (e->backends[i].tunnel &&
            memcmp(e->backends[i].key, gw_session_key(session), GW_KEY_LEN) == 0)
            add_exposure(t, e, e->backends[i].service);
    }
}

/* Whether SITE has its lines: it stands there twice when two of its backends name the key. */
static bool is_told(const struct telling *t, const struct gw_site *site)
{
    for (size_t i = 0; i < t->site_count; i++) {
        if (t->sites[i] == site)
            return true;
    }
    return false;
}

/* A site is noted only with a line of its own, so there is room for it. */
static void tell_site(struct telling *t, const struct gw_session *session,
                      const struct gw_site *site)
{
    size_t before = t->count;

    add_site(t, session, site);
    if (t->count > before)
        t->sites[t->site_count++] = site;
}

void gw_tell(struct gw_session *session, struct gw_site *const *sites, size_t count)
{
    struct tun_session *tunnel = gw_session_tunnel(session);
    bool can = tunnel != NULL && link_session_live(session->links) > 0;
    struct telling *t = can ? malloc(sizeof(*t)) : NULL;

    if (t == NULL)
        return;
    t->count = t->site_count = 0;
    for (size_t i = 0; i < count && t->count < TELL_MAX; i++) {
        if (!is_told(t, sites[i]))
            tell_site(t, session, sites[i]);
    }
    /* Only for the connector's log: not worth an end of the session when it fails. */
    (void)tun_session_exposures(tunnel, t->lines, t->count);
    link_session_touch(session->links);
    free(t);
}
