/* SPDX-License-Identifier: Apache-2.0 */
/* A short list of inherited sockets; see heritage.h. */
#include "modules/gateway/heritage.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"

struct socket {
    enum gw_door_kind kind;
    struct addr asked;
    int fd;
};

struct gw_heritage {
    struct socket *at;
    size_t count, cap;
};

int gw_heritage_new(struct gw_heritage **out)
{
    struct gw_heritage *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    *out = self;
    return ERR_OK;
}

void gw_heritage_clear(struct gw_heritage *self)
{
    while (self->count > 0)
        close(self->at[--self->count].fd);
}

void gw_heritage_free(struct gw_heritage *self)
{
    if (self == NULL)
        return;
    gw_heritage_clear(self);
    free(self->at);
    free(self);
}

static int grow(struct gw_heritage *self)
{
    size_t cap = self->cap > 0 ? 2 * self->cap : 16;
    struct socket *at = reallocarray(self->at, cap, sizeof(*at));

    if (at == NULL)
        return ERR_NOMEM;
    self->at = at;
    self->cap = cap;
    return ERR_OK;
}

int gw_heritage_add(struct gw_heritage *self, enum gw_door_kind kind, const struct addr *asked,
                    int fd)
{
    if (self->count == self->cap && grow(self) != ERR_OK) {
        close(fd);
        return ERR_NOMEM;
    }
    self->at[self->count++] = (struct socket){kind, *asked, fd};
    return ERR_OK;
}

/* As text: only IP and port count, whatever else is in the socket address. */
static bool same_addr(const struct addr *a, const struct addr *b)
{
    char x[ADDR_TEXT_MAX], y[ADDR_TEXT_MAX];

    addr_print(x, a);
    addr_print(y, b);
    return strcmp(x, y) == 0;
}

static int take_at(struct gw_heritage *self, size_t i)
{
    int fd = self->at[i].fd;

    self->count--;
    memmove(&self->at[i], &self->at[i + 1], (self->count - i) * sizeof(self->at[0]));
    return fd;
}

int gw_heritage_take(struct gw_heritage *self, enum gw_door_kind kind, const struct addr *asked)
{
    size_t other = SIZE_MAX;

    for (size_t i = 0; self != NULL && i < self->count; i++) {
        if (!same_addr(&self->at[i].asked, asked))
            continue;
        if (self->at[i].kind == kind)
            return take_at(self, i); /* in order, as several may ask for port 0 */
        if (addr_port(asked) != 0)
            other = i;
    }
    return other != SIZE_MAX ? take_at(self, other) : -1;
}

size_t gw_heritage_count(const struct gw_heritage *self)
{
    return self->count;
}
