/* SPDX-License-Identifier: Apache-2.0 */
/* Questions wait in line and are asked a few at a time, so that a reboot does not flood the DNS. */
#include "modules/gateway/verify.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/err.h"
#include "modules/net/resolve.h"

#define RECORD "_netwall."
#define KEY_TEXT_LEN 64

struct gw_verify {
    TAILQ_ENTRY(gw_verify) entry;
    struct gw_verifier *verifier;
    struct net_resolve *resolve;              /* NULL while in line */
    char name[HOST_CAP + sizeof(RECORD)];     /* what is looked up */
    char want[sizeof("key=") + KEY_TEXT_LEN]; /* "" = by address */
    gw_verify_fn *on_done;
    void *arg;
};

TAILQ_HEAD(questions, gw_verify);

struct gw_verifier {
    struct ev_loop *loop;
    const struct gw_config *config;
    struct net_resolver *resolver;
    struct questions line;
    struct questions asked;
    size_t at_once;
    ev_timer start; /* asks the front of the line, from the loop */
};

static void wake(struct gw_verifier *self)
{
    if (ev_is_active(&self->start) || TAILQ_EMPTY(&self->line) ||
        self->at_once >= GW_VERIFY_AT_ONCE)
        return;
    ev_timer_set(&self->start, 0.0, 0.0);
    ev_timer_start(self->loop, &self->start);
}

static void forget(struct gw_verify *self)
{
    struct gw_verifier *verifier = self->verifier;

    if (self->resolve != NULL) {
        TAILQ_REMOVE(&verifier->asked, self, entry);
        verifier->at_once--;
        net_resolve_cancel(self->resolve);
    } else {
        TAILQ_REMOVE(&verifier->line, self, entry);
    }
    free(self);
    wake(verifier);
}

/* The one way a question is answered. SELF is gone before the callback runs. */
static void complete(struct gw_verify *self, int rc, const char *why)
{
    gw_verify_fn *on_done = self->on_done;
    void *arg = self->arg;

    forget(self);
    on_done(arg, rc, why);
}

/* The answer came: the handle of the resolver is gone. */
static void answered(struct gw_verify *self)
{
    self->resolve = NULL;
    TAILQ_REMOVE(&self->verifier->asked, self, entry);
    self->verifier->at_once--;
    TAILQ_INSERT_HEAD(&self->verifier->line, self, entry); /* where forget looks for it */
}

static bool dns_failed(int rc)
{
    return rc != ERR_OK && rc != ERR_NOENT;
}

static void on_texts(void *arg, int rc, const char *const *texts, size_t count)
{
    struct gw_verify *self = arg;
    char why[GW_VERIFY_WHY_MAX];
    bool found = false;

    for (size_t i = 0; rc == ERR_OK && i < count; i++)
        found = found || strstr(texts[i], self->want) != NULL;
    (void)snprintf(why, sizeof(why), "no TXT record %s with %s%s%s", self->name, self->want,
                   dns_failed(rc) ? "; the DNS says: " : "", dns_failed(rc) ? err_text(rc) : "");
    answered(self);
    complete(self, found ? ERR_OK : dns_failed(rc) ? ERR_AGAIN : ERR_REFUSED, found ? "" : why);
}

static void on_addrs(void *arg, int rc, const struct addr *addrs, size_t count)
{
    struct gw_verify *self = arg;
    char why[GW_VERIFY_WHY_MAX];
    bool found = false;

    for (size_t i = 0; rc == ERR_OK && i < count; i++)
        found = found || gw_config_is_public(self->verifier->config, &addrs[i]);
    (void)snprintf(why, sizeof(why), "%s does not point to an address of this gateway%s%s",
                   self->name, dns_failed(rc) ? "; the DNS says: " : "",
                   dns_failed(rc) ? err_text(rc) : "");
    answered(self);
    complete(self, found ? ERR_OK : dns_failed(rc) ? ERR_AGAIN : ERR_REFUSED, found ? "" : why);
}

static int ask(struct gw_verifier *self, struct gw_verify *q)
{
    struct net_resolve_question question = {
        .name = q->name,
        .on_addrs = q->want[0] == '\0' ? on_addrs : NULL,
        .on_texts = q->want[0] != '\0' ? on_texts : NULL,
        .arg = q,
    };
    int rc = net_resolve_start(&q->resolve, self->resolver, &question);

    if (rc != ERR_OK)
        return rc;
    TAILQ_REMOVE(&self->line, q, entry);
    TAILQ_INSERT_TAIL(&self->asked, q, entry);
    self->at_once++;
    return ERR_OK;
}

static void on_start(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_verifier *self = w->data;

    (void)loop;
    (void)revents;
    while (!TAILQ_EMPTY(&self->line) && self->at_once < GW_VERIFY_AT_ONCE) {
        struct gw_verify *q = TAILQ_FIRST(&self->line);
        int rc = ask(self, q);

        if (rc != ERR_OK) { /* forget() wakes us for the next one */
            complete(q, rc == ERR_INVALID ? ERR_REFUSED : ERR_AGAIN, err_text(rc));
            return;
        }
    }
}

static void print_servers(char *out, size_t cap, const struct gw_addrs *servers)
{
    char one[ADDR_TEXT_MAX];
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < servers->count; i++) {
        addr_print(one, &servers->at[i]);
        used += (size_t)snprintf(out + used, cap - used, "%s%s", i > 0 ? "," : "", one);
    }
}

int gw_verifier_new(struct gw_verifier **out, struct ev_loop *loop, const struct gw_config *config)
{
    struct gw_verifier *self = calloc(1, sizeof(*self));
    char servers[GW_LISTEN_MAX * ADDR_TEXT_MAX];
    struct net_resolver_config cfg = {.servers = servers, .absolute = true};
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    print_servers(servers, sizeof(servers), &config->resolvers);
    rc = net_resolver_new(&self->resolver, loop, &cfg);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    self->loop = loop;
    self->config = config;
    TAILQ_INIT(&self->line);
    TAILQ_INIT(&self->asked);
    ev_timer_init(&self->start, on_start, 0.0, 0.0);
    self->start.data = self;
    *out = self;
    return ERR_OK;
}

void gw_verifier_free(struct gw_verifier *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->start);
    net_resolver_free(self->resolver);
    free(self);
}

int gw_verify_start(struct gw_verify **out, struct gw_verifier *verifier,
                    const struct gw_verify_question *question)
{
    const char *host = question->host;
    struct gw_verify *self;

    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    if (strlen(host) >= HOST_CAP ||
        (question->twin_key != NULL && strlen(question->twin_key) != KEY_TEXT_LEN))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->verifier = verifier;
    self->on_done = question->on_done;
    self->arg = question->arg;
    (void)snprintf(self->name, sizeof(self->name), "%s%s", question->twin_key != NULL ? RECORD : "",
                   host);
    if (question->twin_key != NULL)
        (void)snprintf(self->want, sizeof(self->want), "key=%s", question->twin_key);
    TAILQ_INSERT_TAIL(&verifier->line, self, entry);
    wake(verifier);
    *out = self;
    return ERR_OK;
}

void gw_verify_cancel(struct gw_verify *self)
{
    if (self != NULL)
        forget(self);
}

bool gw_verify_covered(const char *host, const char *const *domains, size_t count)
{
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    for (size_t i = 0; i < count; i++) {
        if (host_under(host, domains[i]))
            return true;
    }
    return false;
}
