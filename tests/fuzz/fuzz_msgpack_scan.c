/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what the scanner lets pass, msgpack-c decodes, and every node can be read. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct bus_node *node)
{
    const uint8_t *bytes;
    const char *text;
    uint32_t nsec = 0;
    int64_t number;
    uint64_t unsigned_number;
    double real;
    char copy[16];
    size_t len;
    bool flag;

    (void)bus_node_text(node, &text, &len);
    (void)bus_node_bytes(node, &bytes, &len);
    (void)bus_node_bool(node, &flag);
    (void)bus_node_int(node, &number);
    (void)bus_node_uint(node, &unsigned_number);
    (void)bus_node_real(node, &real);
    (void)bus_node_copy(node, copy, sizeof(copy));
    assert(!bus_node_time(node, &number, &nsec) || nsec < 1000000000);
    for (size_t i = 0; i < bus_node_count(node); i++) {
        if (bus_node_is_map(node))
            assert(bus_node_key(node, i, &len) != NULL);
        walk(bus_node_at(node, i));
    }
    assert(bus_node_at(node, bus_node_count(node)) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bus_tree *tree = NULL;
    int scanned = bus_scan(data, size, &bus_scan_default);
    int decoded = bus_tree_new(&tree, data, size, NULL);

    assert((scanned == ERR_OK) == (decoded == ERR_OK));
    if (decoded != ERR_OK)
        return 0;
    walk(bus_tree_root(tree));
    bus_tree_free(tree);
    return 0;
}
