/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The msgpack specification as one loop over a fixed stack of containers: no recursion, no
 * allocation but for large maps.
 */
#include "bus/scan.h"

#include <stdbool.h>
#include <string.h>

#include "bus/base/cur.h"
#include "bus/base/err.h"
#include "bus/base/map.h"

#define SMALL_MAP 16 /* keys compared one by one; larger maps use a hash table */

const struct bus_scan_limits bus_scan_default = {
    .len = 1u << 20,
    .depth = 16,
    .elements = 1u << 18,
};

struct key {
    const uint8_t *data;
    size_t len;
};

/* One container whose values are being read. Only maps have keys. */
struct frame {
    size_t left; /* values still to come, keys included */
    bool is_map;
    bool at_key; /* the next value is a key */
    size_t keys; /* seen so far */
    struct key small[SMALL_MAP];
    struct map *large; /* keys of a map with more than SMALL_MAP */
};

struct scan {
    struct cur in;
    const struct bus_scan_limits *limits;
    size_t elements;
    unsigned depth; /* frames in use */
    struct frame frames[BUS_SCAN_DEPTH_MAX];
};

enum kind { KIND_LEAF, KIND_TEXT, KIND_ARRAY, KIND_MAP, KIND_BAD };

/* Head of one value: what it is, and how many bytes (leaf, text) or entries follow. */
struct head {
    enum kind kind;
    size_t count;
};

static size_t length(struct cur *in, unsigned bytes)
{
    return bytes == 1 ? cur_u8(in) : bytes == 2 ? cur_u16(in) : cur_u32(in);
}

/* 0xc0 to 0xdf of the msgpack specification. */
static struct head long_head(struct cur *in, uint8_t b)
{
    static const uint8_t leaf[] = {
        [0xc0 - 0xc0] = 0, [0xc2 - 0xc0] = 0,  [0xc3 - 0xc0] = 0, [0xca - 0xc0] = 4,
        [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1,  [0xcd - 0xc0] = 2, [0xce - 0xc0] = 4,
        [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1,  [0xd1 - 0xc0] = 2, [0xd2 - 0xc0] = 4,
        [0xd3 - 0xc0] = 8, [0xd4 - 0xc0] = 2,  [0xd5 - 0xc0] = 3, [0xd6 - 0xc0] = 5,
        [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17,
    };

    switch (b) {
    case 0xc1: /* never used */
        return (struct head){KIND_BAD, 0};
    case 0xc4: /* bin 8, 16, 32 */
    case 0xc5:
    case 0xc6:
        return (struct head){KIND_LEAF, length(in, 1u << (b - 0xc4))};
    case 0xc7: /* ext 8, 16, 32: one byte more for the type */
    case 0xc8:
    case 0xc9:
        return (struct head){KIND_LEAF, length(in, 1u << (b - 0xc7)) + 1};
    case 0xd9: /* str 8, 16, 32 */
    case 0xda:
    case 0xdb:
        return (struct head){KIND_TEXT, length(in, 1u << (b - 0xd9))};
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return (struct head){KIND_ARRAY, length(in, 2u << (b - 0xdc))};
    case 0xde: /* map 16, 32 */
    case 0xdf:
        return (struct head){KIND_MAP, length(in, 2u << (b - 0xde))};
    default:
        return (struct head){KIND_LEAF, leaf[b - 0xc0]};
    }
}

static struct head read_head(struct cur *in)
{
    uint8_t b = cur_u8(in);

    if (b < 0x80 || b >= 0xe0) /* small integers */
        return (struct head){KIND_LEAF, 0};
    if (b < 0x90)
        return (struct head){KIND_MAP, b & 0x0fu};
    if (b < 0xa0)
        return (struct head){KIND_ARRAY, b & 0x0fu};
    if (b < 0xc0)
        return (struct head){KIND_TEXT, b & 0x1fu};
    return long_head(in, b);
}

static int add_large(struct frame *frame, const struct key *key)
{
    void *old = NULL;
    int rc = map_put(frame->large, key->data, key->len, frame, &old);

    if (rc != ERR_OK)
        return rc;
    return old == NULL ? ERR_OK : ERR_PROTO;
}

/* The map outgrew the small table: its keys move to a hash table. */
static int grow(struct frame *frame)
{
    int rc = map_new(&frame->large);

    for (size_t i = 0; rc == ERR_OK && i < SMALL_MAP; i++)
        rc = add_large(frame, &frame->small[i]);
    return rc;
}

/* Note one key; ERR_PROTO when the map has it already. */
static int add_key(struct frame *frame, const uint8_t *data, size_t len)
{
    struct key key = {.data = data, .len = len};
    int rc = frame->keys == SMALL_MAP ? grow(frame) : ERR_OK;

    frame->keys++;
    if (rc != ERR_OK)
        return rc;
    if (frame->large != NULL)
        return add_large(frame, &key);
    for (size_t i = 0; i + 1 < frame->keys; i++) {
        if (frame->small[i].len == len && memcmp(frame->small[i].data, data, len) == 0)
            return ERR_PROTO;
    }
    frame->small[frame->keys - 1] = key;
    return ERR_OK;
}

static int open_container(struct scan *scan, const struct head *head)
{
    size_t values = head->kind == KIND_MAP ? 2 * head->count : head->count;

    /* Each value takes a byte at least: a count that cannot fit is refused before anything else. */
    if (values > cur_left(&scan->in))
        return ERR_PROTO;
    if (values > scan->limits->elements - scan->elements)
        return ERR_LIMIT;
    if (scan->depth >= scan->limits->depth || scan->depth >= BUS_SCAN_DEPTH_MAX)
        return ERR_LIMIT;
    scan->frames[scan->depth++] = (struct frame){
        .left = values, .is_map = head->kind == KIND_MAP, .at_key = head->kind == KIND_MAP};
    return ERR_OK;
}

/* Leave containers that are complete. */
static void close_containers(struct scan *scan)
{
    while (scan->depth > 0 && scan->frames[scan->depth - 1].left == 0)
        map_free(scan->frames[--scan->depth].large);
}

static int scan_value(struct scan *scan)
{
    struct frame *in = scan->depth > 0 ? &scan->frames[scan->depth - 1] : NULL;
    bool is_key = in != NULL && in->at_key;
    struct head head = read_head(&scan->in);
    const uint8_t *bytes = NULL;

    if (scan->in.bad || head.kind == KIND_BAD || (is_key && head.kind != KIND_TEXT))
        return ERR_PROTO;
    if (++scan->elements > scan->limits->elements)
        return ERR_LIMIT;
    if (in != NULL) {
        in->left--;
        in->at_key = in->is_map && !is_key;
    }
    if (head.kind == KIND_ARRAY || head.kind == KIND_MAP)
        return open_container(scan, &head);
    bytes = cur_bytes(&scan->in, head.count);
    if (bytes == NULL)
        return ERR_PROTO;
    return is_key ? add_key(in, bytes, head.count) : ERR_OK;
}

int bus_scan(const void *data, size_t len, const struct bus_scan_limits *limits)
{
    struct scan scan = {.in = cur_init(data, len), .limits = limits};
    int rc = len <= limits->len ? ERR_OK : ERR_LIMIT;

    while (rc == ERR_OK) {
        rc = scan_value(&scan);
        if (rc == ERR_OK)
            close_containers(&scan);
        if (scan.depth == 0)
            break;
    }
    while (scan.depth > 0)
        map_free(scan.frames[--scan.depth].large);
    if (rc != ERR_OK)
        return rc;
    return cur_done(&scan.in) ? ERR_OK : ERR_PROTO;
}
