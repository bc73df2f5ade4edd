/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schemas/documents.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/signature.h"
#include "tests/support/suite.h"

const char contract_text[] =
    "{'version': 1, 'twin_id': 7, 'contract_id': 1001, 'nodes': ['gw1', 'key:" NODE_KEY "'],"
    " 'metadata': 'm', 'description': '', 'expiration': 0,"
    " 'signature_requirement': {'requests': [{'twin_id': 7, 'required': false, 'weight': 1}],"
    "   'weight_required': 1, 'signature_style': 'netwall-1'},"
    " 'workloads': ["
    "  {'version': 0, 'name': 'blog', 'type': 'gateway-name-proxy', 'metadata': '',"
    "   'description': '', 'data': {'name': 'Blog', 'tls_passthrough': true,"
    "     'backends': ['tunnel:" CONNECTOR_KEY "/web']}},"
    "  {'version': 1, 'name': 'shop', 'type': 'gateway-fqdn-proxy',"
    "   'data': {'fqdn': '*.Example.org', 'backends': ['http://10.1.2.3']}},"
    "  {'version': 0, 'name': 'db', 'type': 'gateway-tcp-proxy',"
    "   'data': {'port': 0, 'backends': ['tunnel:" CONNECTOR_KEY "']}}]}";

char *quoted(const char *text)
{
    char *copy = strdup(text);

    ck_assert_ptr_nonnull(copy);
    for (char *at = copy; *at != '\0'; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return copy;
}

json_t *json_of(const char *text)
{
    char *copy = quoted(text);
    json_error_t error;
    json_t *json = json_loads(copy, JSON_DECODE_ANY, &error);

    ck_assert_msg(json != NULL, "%s: %s", error.text, copy);
    free(copy);
    return json;
}

void seed_of(uint8_t out[32], uint8_t n)
{
    memset(out, n, 32);
}

void public_key_of(uint8_t out[32], uint8_t n)
{
    uint8_t seed[32];

    seed_of(seed, n);
    sch_public_of(out, seed);
}

json_t *signed_contract(const char *edit)
{
    json_t *json = json_of(contract_text);
    struct sch_report report = {0};
    uint8_t seed[32];

    if (edit != NULL) {
        json_t *changes = json_of(edit);

        ck_assert_int_eq(json_object_update(json, changes), 0);
        json_decref(changes);
    }
    seed_of(seed, 1);
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_NETWALL1};
    ck_assert_msg(sch_deployment_sign(json, &signer, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    return json;
}
