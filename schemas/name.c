/* SPDX-License-Identifier: Apache-2.0 */
/* Names of workloads and nodes. */
#include "schemas/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/canonical.h"

#define NODE_KEY "key:"
#define NODE_KEY_BYTES 32

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* TEXT is 1 to MAX bytes, all of ALLOWED. */
static bool consists_of(const char *text, const char *allowed, size_t max)
{
    size_t len = strlen(text);

    return len >= 1 && len <= max && strspn(text, allowed) == len;
}

bool sch_workload_name_ok(const char *name)
{
    return consists_of(name, LETTERS DIGITS "_", SCH_NAME_MAX) && strcmp(name, "ygg") != 0;
}

const char *sch_workload_id(char out[SCH_ID_CAP], uint32_t twin, uint64_t contract,
                            const char *name)
{
    (void)snprintf(out, SCH_ID_CAP, "%" PRIu32 "-%" PRIu64 "-%s", twin, contract, name);
    return out;
}

/* A decimal number without sign or leading zero, 1..MAX, up to the next '-', which is skipped. */
static int take_number(const char **at, uint64_t max, uint64_t *out)
{
    size_t digits = strspn(*at, DIGITS);

    if (digits == 0 || digits > 16 || **at == '0' || (*at)[digits] != '-')
        return ERR_INVALID;
    *out = strtoull(*at, NULL, 10); /* 16 digits always fit */
    *at += digits + 1;
    return *out <= max ? ERR_OK : ERR_INVALID;
}

int sch_workload_id_split(const char *id, uint32_t *twin, uint64_t *contract, const char **name)
{
    const char *at = id;
    uint64_t twin_id, contract_id;

    if (take_number(&at, SCH_TWIN_MAX, &twin_id) != ERR_OK ||
        take_number(&at, (uint64_t)SCH_INT_MAX, &contract_id) != ERR_OK ||
        !sch_workload_name_ok(at))
        return ERR_INVALID;
    *twin = (uint32_t)twin_id;
    *contract = contract_id;
    *name = at;
    return ERR_OK;
}

bool sch_node_is_key(const char *node)
{
    return strncmp(node, NODE_KEY, strlen(NODE_KEY)) == 0;
}

bool sch_node_ok(const char *node)
{
    uint8_t key[NODE_KEY_BYTES];
    const char *hex = node + strlen(NODE_KEY);

    if (sch_node_is_key(node))
        return hex_decode(key, sizeof(key), hex, strlen(hex)) == ERR_OK;
    return consists_of(node, LETTERS DIGITS "._-", SCH_NODE_MAX);
}

bool sch_nodes_hold(const json_t *nodes, const char *name, const char *key_hex)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *node = json_string_value(json_array_get(nodes, i));

        if (node == NULL)
            continue;
        if (name != NULL && strcmp(node, name) == 0)
            return true;
        if (key_hex != NULL && sch_node_is_key(node) &&
            strcmp(node + strlen(NODE_KEY), key_hex) == 0)
            return true;
    }
    return false;
}
