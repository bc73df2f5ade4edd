/* SPDX-License-Identifier: Apache-2.0 */
/* Reading msgpack. The only file that decodes with msgpack-c, and only what bus/scan let pass. */
#include "bus/node.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/cur.h"
#include "bus/base/err.h"

#define EXT_TIME (-1)
#define NSEC_PER_SEC 1000000000u

struct bus_tree {
    msgpack_unpacked unpacked;
};

/* A node is msgpack-c's object under a name of ours, so that only bus includes msgpack. */
static const msgpack_object *object(const struct bus_node *node)
{
    return (const msgpack_object *)node;
}

static const struct bus_node *node_of(const msgpack_object *o)
{
    return (const struct bus_node *)o;
}

static bool has_type(const struct bus_node *node, msgpack_object_type type)
{
    return node != NULL && object(node)->type == type;
}

int bus_tree_new(struct bus_tree **out, const void *data, size_t len,
                 const struct bus_scan_limits *limits)
{
    struct bus_tree *self;
    size_t used = 0;
    int rc = bus_scan(data, len, limits != NULL ? limits : &bus_scan_default);

    if (rc != ERR_OK)
        return rc;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    msgpack_unpacked_init(&self->unpacked);
    if (msgpack_unpack_next(&self->unpacked, data, len, &used) == MSGPACK_UNPACK_SUCCESS &&
        used == len) {
        *out = self;
        return ERR_OK;
    }
    bus_tree_free(self);
    return ERR_PROTO;
}

void bus_tree_free(struct bus_tree *self)
{
    if (self == NULL)
        return;
    msgpack_unpacked_destroy(&self->unpacked);
    free(self);
}

const struct bus_node *bus_tree_root(const struct bus_tree *self)
{
    return node_of(&self->unpacked.data);
}

bool bus_node_is_nil(const struct bus_node *node)
{
    return node == NULL || has_type(node, MSGPACK_OBJECT_NIL);
}

bool bus_node_is_map(const struct bus_node *node)
{
    return has_type(node, MSGPACK_OBJECT_MAP);
}

bool bus_node_is_array(const struct bus_node *node)
{
    return has_type(node, MSGPACK_OBJECT_ARRAY);
}

size_t bus_node_count(const struct bus_node *node)
{
    if (bus_node_is_map(node))
        return object(node)->via.map.size;
    return bus_node_is_array(node) ? object(node)->via.array.size : 0;
}

const struct bus_node *bus_node_at(const struct bus_node *node, size_t i)
{
    if (i >= bus_node_count(node))
        return NULL;
    return node_of(bus_node_is_map(node) ? &object(node)->via.map.ptr[i].val
                                         : &object(node)->via.array.ptr[i]);
}

/* msgpack-c points nowhere for empty text and bytes. */
static const char *not_null(const char *text)
{
    return text != NULL ? text : "";
}

const char *bus_node_key(const struct bus_node *node, size_t i, size_t *len)
{
    const msgpack_object *key;

    if (!bus_node_is_map(node) || i >= bus_node_count(node))
        return NULL;
    key = &object(node)->via.map.ptr[i].key; /* text: bus_scan saw to it */
    *len = key->via.str.size;
    return not_null(key->via.str.ptr);
}

const struct bus_node *bus_node_get(const struct bus_node *node, const char *key)
{
    size_t want = strlen(key), count = bus_node_is_map(node) ? bus_node_count(node) : 0;

    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        const char *have = bus_node_key(node, i, &len);

        if (len == want && memcmp(have, key, len) == 0)
            return bus_node_at(node, i);
    }
    return NULL;
}

bool bus_node_text(const struct bus_node *node, const char **text, size_t *len)
{
    if (has_type(node, MSGPACK_OBJECT_NIL)) {
        *text = "";
        *len = 0;
        return true;
    }
    if (has_type(node, MSGPACK_OBJECT_STR)) {
        *text = not_null(object(node)->via.str.ptr);
        *len = object(node)->via.str.size;
        return true;
    }
    if (has_type(node, MSGPACK_OBJECT_BIN)) {
        *text = not_null(object(node)->via.bin.ptr);
        *len = object(node)->via.bin.size;
        return true;
    }
    return false;
}

bool bus_node_bytes(const struct bus_node *node, const uint8_t **data, size_t *len)
{
    if (!has_type(node, MSGPACK_OBJECT_BIN))
        return false;
    *data = (const uint8_t *)not_null(object(node)->via.bin.ptr);
    *len = object(node)->via.bin.size;
    return true;
}

bool bus_node_bool(const struct bus_node *node, bool *out)
{
    if (has_type(node, MSGPACK_OBJECT_NIL)) {
        *out = false;
        return true;
    }
    if (!has_type(node, MSGPACK_OBJECT_BOOLEAN))
        return false;
    *out = object(node)->via.boolean;
    return true;
}

bool bus_node_int(const struct bus_node *node, int64_t *out)
{
    if (has_type(node, MSGPACK_OBJECT_NIL)) {
        *out = 0;
        return true;
    }
    if (has_type(node, MSGPACK_OBJECT_NEGATIVE_INTEGER)) {
        *out = object(node)->via.i64;
        return true;
    }
    if (!has_type(node, MSGPACK_OBJECT_POSITIVE_INTEGER) || object(node)->via.u64 > INT64_MAX)
        return false;
    *out = (int64_t)object(node)->via.u64;
    return true;
}

bool bus_node_uint(const struct bus_node *node, uint64_t *out)
{
    if (has_type(node, MSGPACK_OBJECT_NIL)) {
        *out = 0;
        return true;
    }
    if (!has_type(node, MSGPACK_OBJECT_POSITIVE_INTEGER))
        return false;
    *out = object(node)->via.u64;
    return true;
}

bool bus_node_real(const struct bus_node *node, double *out)
{
    if (has_type(node, MSGPACK_OBJECT_FLOAT32) || has_type(node, MSGPACK_OBJECT_FLOAT64))
        *out = object(node)->via.f64;
    else if (has_type(node, MSGPACK_OBJECT_POSITIVE_INTEGER))
        *out = (double)object(node)->via.u64;
    else if (has_type(node, MSGPACK_OBJECT_NEGATIVE_INTEGER))
        *out = (double)object(node)->via.i64;
    else if (has_type(node, MSGPACK_OBJECT_NIL))
        *out = 0.0;
    else
        return false;
    return true;
}

bool bus_node_time(const struct bus_node *node, int64_t *sec, uint32_t *nsec)
{
    struct cur in;
    uint64_t both;

    if (!has_type(node, MSGPACK_OBJECT_EXT) || object(node)->via.ext.type != EXT_TIME)
        return false;
    in = cur_init(object(node)->via.ext.ptr, object(node)->via.ext.size);
    switch (cur_left(&in)) {
    case 4:
        *nsec = 0;
        *sec = cur_u32(&in);
        return true;
    case 8:
        both = cur_u64(&in);
        if (both >> 34 >= NSEC_PER_SEC)
            return false;
        *nsec = (uint32_t)(both >> 34);
        *sec = (int64_t)(both & (((uint64_t)1 << 34) - 1));
        return true;
    case 12:
        both = cur_u32(&in);
        if (both >= NSEC_PER_SEC)
            return false;
        *nsec = (uint32_t)both;
        *sec = (int64_t)cur_u64(&in);
        return true;
    default:
        return false;
    }
}

bool bus_node_copy(const struct bus_node *node, char *out, size_t cap)
{
    const char *text;
    size_t len;

    if (!bus_node_text(node, &text, &len) || len >= cap ||
        (len > 0 && memchr(text, '\0', len) != NULL))
        return false;
    if (len > 0)
        memcpy(out, text, len);
    out[len] = '\0';
    return true;
}
