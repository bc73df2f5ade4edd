/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for waiting bytes; see bytes.h. */
#include "modules/gateway/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define CAP_MIN 512u

int gw_bytes_reserve(struct gw_bytes *self, size_t n)
{
    size_t cap = self->cap > 0 ? self->cap : CAP_MIN;
    uint8_t *data;

    if (n <= self->cap - self->len)
        return ERR_OK;
    while (cap - self->len < n)
        cap *= 2;
    data = realloc(self->data, cap);
    if (data == NULL)
        return ERR_NOMEM;
    self->data = data;
    self->cap = cap;
    return ERR_OK;
}

int gw_bytes_add(struct gw_bytes *self, const void *data, size_t n)
{
    if (n == 0)
        return ERR_OK;
    if (gw_bytes_reserve(self, n) != ERR_OK)
        return ERR_NOMEM;
    memcpy(self->data + self->len, data, n);
    self->len += n;
    return ERR_OK;
}

void gw_bytes_drop(struct gw_bytes *self, size_t n)
{
    assert(n <= gw_bytes_left(self));
    self->at += n;
    if (self->at == self->len) {
        gw_bytes_clear(self);
        return;
    }
    memmove(self->data, self->data + self->at, gw_bytes_left(self));
    self->len -= self->at;
    self->at = 0;
}

void gw_bytes_clear(struct gw_bytes *self)
{
    free(self->data);
    *self = (struct gw_bytes){0};
}
