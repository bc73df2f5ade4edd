/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash of a deployment as Zero-OS makes it: MD5 over the values in a fixed order without anything
 * in between (ZOS.md 3.6). Kept byte for byte; its weaknesses are why it is off by default.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/signature.h"

/* The digest under way; adding after a failure does nothing. */
struct challenge {
    EVP_MD_CTX *md;
    bool bad;
};

static void add(struct challenge *c, const char *text)
{
    if (EVP_DigestUpdate(c->md, text, strlen(text)) != 1)
        c->bad = true;
}

static void add_text(struct challenge *c, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    add(c, text != NULL ? text : "");
}

static void add_int(struct challenge *c, const json_t *object, const char *key)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(object, key)));
    add(c, text);
}

static void add_bool(struct challenge *c, const json_t *object, const char *key)
{
    add(c, json_is_true(json_object_get(object, key)) ? "true" : "false");
}

static void add_data(struct challenge *c, const struct sch_workload_type *type, const json_t *data)
{
    for (const char *const *field = type->zos_fields; *field != NULL; field++) {
        const json_t *value = json_object_get(data, *field);

        if (strcmp(*field, "tls_passthrough") == 0)
            add_bool(c, data, *field);
        else if (!json_is_array(value))
            add_text(c, data, *field);
        for (size_t i = 0; i < json_array_size(value); i++) {
            const char *text = json_string_value(json_array_get(value, i));

            add(c, text != NULL ? text : "");
        }
    }
}

static void add_workload(struct challenge *c, const json_t *w)
{
    const char *name = json_string_value(json_object_get(w, "type"));
    const struct sch_workload_type *type = name != NULL ? sch_workload_type(name) : NULL;

    if (type == NULL || !type->zos) {
        c->bad = true;
        return;
    }
    add_int(c, w, "version");
    add_text(c, w, "name");
    add_text(c, w, "type");
    add_text(c, w, "metadata");
    add_text(c, w, "description");
    add_data(c, type, json_object_get(w, "data"));
}

static void add_requirement(struct challenge *c, const json_t *requirement)
{
    const json_t *requests = json_object_get(requirement, "requests");

    for (size_t i = 0; i < json_array_size(requests); i++) {
        const json_t *request = json_array_get(requests, i);

        add_int(c, request, "twin_id");
        add_bool(c, request, "required");
        add_int(c, request, "weight");
    }
    add_int(c, requirement, "weight_required");
    add_text(c, requirement, "signature_style");
}

int sch_zos_hash(uint8_t out[SCH_MD5_LEN], const json_t *json)
{
    const json_t *workloads = json_object_get(json, "workloads");
    struct challenge c = {.md = EVP_MD_CTX_new()};

    if (c.md == NULL)
        return ERR_NOMEM;
    c.bad = EVP_DigestInit_ex(c.md, EVP_md5(), NULL) != 1;
    add_int(&c, json, "version");
    add_int(&c, json, "twin_id");
    add_text(&c, json, "metadata");
    add_text(&c, json, "description");
    add_int(&c, json, "expiration");
    for (size_t i = 0; i < json_array_size(workloads) && !c.bad; i++)
        add_workload(&c, json_array_get(workloads, i));
    add_requirement(&c, json_object_get(json, "signature_requirement"));
    if (EVP_DigestFinal_ex(c.md, out, NULL) != 1)
        c.bad = true;
    EVP_MD_CTX_free(c.md);
    return c.bad ? ERR_INVALID : ERR_OK;
}
