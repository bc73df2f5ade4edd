/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: arguments of Zero-OS's gateway calls, as structs and as bare backends. What is taken
 * is what our own contracts take too, but for port 0.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/node.h"
#include "modules/gateway/zos_proxy.h"
#include "schemas/backend.h"
#include "schemas/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_struct(const struct bus_node *node, enum gw_zos_kind kind)
{
    struct sch_report report = {0};
    char why[GW_ZOS_WHY_MAX] = "";
    json_t *json = NULL;
    char *spec = NULL;
    int rc = gw_zos_proxy_read(&spec, kind, node, why);

    assert((rc == ERR_OK) == (spec != NULL));
    assert(rc != ERR_INVALID || why[0] != '\0');
    if (rc == ERR_OK)
        assert(sch_json_load(&json, spec, strlen(spec), NULL, &report) == ERR_OK);
    json_decref(json);
    free(spec);
}

static void check_backend(const char *text, bool passthrough)
{
    char out[GW_ZOS_BACKEND_MAX], why[GW_ZOS_WHY_MAX] = "";
    struct sch_report report = {0};
    struct sch_backend backend;
    int rc = gw_zos_backend_read(out, text, passthrough, why);

    if (rc != ERR_OK)
        assert(why[0] != '\0');
    else if (strncmp(out, "tunnel:", 7) != 0 && strcmp(strrchr(out, ':'), ":0") != 0)
        assert(sch_backend_parse(&backend, out, passthrough, &report) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[GW_ZOS_WHY_MAX], *text = malloc(size + 1);
    struct bus_tree *tree = NULL;

    if (bus_tree_new(&tree, data, size, NULL) == ERR_OK) {
        check_struct(bus_tree_root(tree), GW_ZOS_NAME);
        check_struct(bus_tree_root(tree), GW_ZOS_FQDN);
    }
    bus_tree_free(tree);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_backend(text, true);
    check_backend(text, false);
    (void)gw_zos_id_check(GW_ZOS_NAME, text, why);
    free(text);
    return 0;
}
