/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a deployment of a Zero-OS client that is read, written again reads as the same. */
#include <assert.h>
#include <stdint.h>

#include "bus/base/err.h"
#include "bus/node.h"
#include "bus/pack.h"
#include "node-agent/gridtype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *read_again(const json_t *json)
{
    struct sch_report report = {0};
    struct bus_pack *pack = NULL;
    struct bus_tree *tree = NULL;
    json_t *again = NULL;
    const uint8_t *bytes;
    size_t len;

    if (bus_pack_new(&pack) != ERR_OK)
        return NULL;
    agent_gridtype_pack_deployment(pack, json);
    bytes = bus_pack_data(pack, &len);
    if (bus_pack_rc(pack) == ERR_OK && bus_tree_new(&tree, bytes, len, NULL) == ERR_OK)
        assert(agent_gridtype_read(&again, bus_tree_root(tree), &report) == ERR_OK);
    bus_tree_free(tree);
    bus_pack_free(pack);
    return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sch_report report = {0};
    struct bus_tree *tree = NULL;
    json_t *json = NULL, *again;

    if (bus_tree_new(&tree, data, size, NULL) != ERR_OK)
        return 0;
    if (agent_gridtype_read(&json, bus_tree_root(tree), &report) == ERR_OK) {
        again = read_again(json);
        assert(again == NULL || json_equal(json, again));
        json_decref(again);
    }
    json_decref(json);
    bus_tree_free(tree);
    return 0;
}
