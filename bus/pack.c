/* SPDX-License-Identifier: Apache-2.0 */
/* Writing msgpack. Every byte passes write_capped(), so no caller can outgrow the cap. */
#include "bus/pack.h"

#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/out.h"

#define EXT_TIME (-1)
#define NSEC_PER_SEC 1000000000u

struct bus_pack {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    int rc; /* first error; sticky */
};

/* msgpack-c's way out: the only place where bytes are added, so the cap is kept here. */
static int write_capped(void *data, const char *bytes, size_t len)
{
    struct bus_pack *self = data;

    if (self->rc == ERR_OK && len > BUS_PACK_MAX - self->buffer.size)
        self->rc = ERR_LIMIT;
    if (self->rc == ERR_OK && msgpack_sbuffer_write(&self->buffer, bytes, len) != 0)
        self->rc = ERR_NOMEM;
    return self->rc == ERR_OK ? 0 : -1;
}

int bus_pack_new(struct bus_pack **out)
{
    struct bus_pack *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    msgpack_sbuffer_init(&self->buffer);
    msgpack_packer_init(&self->packer, self, write_capped);
    *out = self;
    return ERR_OK;
}

void bus_pack_free(struct bus_pack *self)
{
    if (self == NULL)
        return;
    msgpack_sbuffer_destroy(&self->buffer);
    free(self);
}

/* The results below are noted by write_capped. */
void bus_pack_map(struct bus_pack *self, size_t pairs)
{
    (void)msgpack_pack_map(&self->packer, pairs);
}

void bus_pack_array(struct bus_pack *self, size_t count)
{
    (void)msgpack_pack_array(&self->packer, count);
}

void bus_pack_text(struct bus_pack *self, const char *text)
{
    bus_pack_text_len(self, text, strlen(text));
}

void bus_pack_text_len(struct bus_pack *self, const char *text, size_t len)
{
    (void)msgpack_pack_str(&self->packer, len);
    bus_pack_raw(self, text, len);
}

void bus_pack_bytes(struct bus_pack *self, const void *data, size_t len)
{
    (void)msgpack_pack_bin(&self->packer, len);
    bus_pack_raw(self, data, len);
}

void bus_pack_bool(struct bus_pack *self, bool value)
{
    (void)(value ? msgpack_pack_true(&self->packer) : msgpack_pack_false(&self->packer));
}

void bus_pack_int(struct bus_pack *self, int64_t value)
{
    (void)msgpack_pack_int64(&self->packer, value);
}

void bus_pack_uint(struct bus_pack *self, uint64_t value)
{
    (void)msgpack_pack_uint64(&self->packer, value);
}

void bus_pack_i64(struct bus_pack *self, int64_t value)
{
    (void)msgpack_pack_fix_int64(&self->packer, value);
}

void bus_pack_u64(struct bus_pack *self, uint64_t value)
{
    (void)msgpack_pack_fix_uint64(&self->packer, value);
}

void bus_pack_u32(struct bus_pack *self, uint32_t value)
{
    (void)msgpack_pack_fix_uint32(&self->packer, value);
}

void bus_pack_real(struct bus_pack *self, double value)
{
    (void)msgpack_pack_double(&self->packer, value);
}

void bus_pack_nil(struct bus_pack *self)
{
    (void)msgpack_pack_nil(&self->packer);
}

void bus_pack_time(struct bus_pack *self, int64_t sec, uint32_t nsec)
{
    uint8_t bytes[12];
    struct out out = out_init(bytes, sizeof(bytes));

    assert(nsec < NSEC_PER_SEC);
    if (sec >= 0 && sec <= UINT32_MAX && nsec == 0) {
        out_u32(&out, (uint32_t)sec);
    } else if (sec >= 0 && sec < (int64_t)1 << 34) {
        out_u64(&out, (uint64_t)nsec << 34 | (uint64_t)sec);
    } else {
        out_u32(&out, nsec);
        out_u64(&out, (uint64_t)sec);
    }
    (void)msgpack_pack_ext(&self->packer, out_len(&out), EXT_TIME);
    bus_pack_raw(self, bytes, out_len(&out));
}

void bus_pack_raw(struct bus_pack *self, const void *data, size_t len)
{
    if (len > 0)
        (void)write_capped(self, data, len);
}

int bus_pack_rc(const struct bus_pack *self)
{
    return self->rc;
}

const uint8_t *bus_pack_data(const struct bus_pack *self, size_t *len)
{
    *len = self->buffer.size;
    return (const uint8_t *)self->buffer.data;
}
