/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Msgpack reader: the bytes are checked by bus/scan first, then decoded by msgpack-c into a tree.
 * Getters are as tolerant as Go's decoder (text may come as bin or nil, integers in any width), so
 * peers of either family are understood.
 */
#ifndef BUS_NODE_H
#define BUS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/scan.h"

struct bus_tree; /* opaque: node.c; owns the decoded nodes */
struct bus_node; /* one value of a tree; lives as long as the tree */

/*
 * Decode exactly LEN bytes, one value. DATA is borrowed: it must outlive the tree. LIMITS NULL =
 * bus_scan_default. Returns 0, ERR_PROTO (not msgpack, or duplicate or non-text keys), ERR_LIMIT or
 * ERR_NOMEM.
 */
int bus_tree_new(struct bus_tree **out, const void *data, size_t len,
                 const struct bus_scan_limits *limits);
void bus_tree_free(struct bus_tree *self); /* NULL is fine */
const struct bus_node *bus_tree_root(const struct bus_tree *self);

/* All getters take NULL for "not there". */
bool bus_node_is_nil(const struct bus_node *node); /* true for NULL too */
bool bus_node_is_map(const struct bus_node *node);
bool bus_node_is_array(const struct bus_node *node);
/* Entries of a map or array; 0 for anything else. */
size_t bus_node_count(const struct bus_node *node);
/* I-th value of an array or map; NULL past the end. */
const struct bus_node *bus_node_at(const struct bus_node *node, size_t i);
/* I-th key of a map, LEN bytes without a NUL; NULL past the end. */
const char *bus_node_key(const struct bus_node *node, size_t i, size_t *len);
/* Value of the map key KEY, or NULL. */
const struct bus_node *bus_node_get(const struct bus_node *node, const char *key);

/* Each returns false and leaves OUT alone when the type does not fit; nil is the zero value of all
 * but bytes and time. Text has no NUL behind it. */
bool bus_node_text(const struct bus_node *node, const char **text, size_t *len); /* str, bin, nil */
bool bus_node_bytes(const struct bus_node *node, const uint8_t **data, size_t *len);
bool bus_node_bool(const struct bus_node *node, bool *out);
bool bus_node_int(const struct bus_node *node, int64_t *out);
bool bus_node_uint(const struct bus_node *node, uint64_t *out);
bool bus_node_real(const struct bus_node *node, double *out); /* integers too */
/* Ext -1 in its three forms. */
bool bus_node_time(const struct bus_node *node, int64_t *sec, uint32_t *nsec);
/* Text into CAP bytes with a NUL; false when it is no text, does not fit or holds a NUL. */
bool bus_node_copy(const struct bus_node *node, char *out, size_t cap);

#endif
