/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of contracts: who must have signed, and signing. */
#include "schemas/signature.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"

#define REQUIREMENT "signature_requirement"

/* What a signature covers, in both styles. */
struct signed_bytes {
    enum sch_style style;
    json_t *form;                /* netwall-1: owned */
    uint8_t digest[SCH_MD5_LEN]; /* zos */
};

static int bytes_of(struct signed_bytes *out, const json_t *json, enum sch_style style)
{
    out->style = style;
    out->form = NULL;
    if (style == SCH_STYLE_ZOS)
        return sch_zos_hash(out->digest, json);
    out->form = sch_deployment_signed_form(json);
    return out->form != NULL ? ERR_OK : ERR_NOMEM;
}

static int verify_one(const struct signed_bytes *bytes, const uint8_t signature[SCH_SIGNATURE_LEN],
                      const uint8_t public_key[SCH_PUBLIC_LEN])
{
    if (bytes->style == SCH_STYLE_ZOS)
        return sch_verify_bytes(signature, bytes->digest, sizeof(bytes->digest), public_key);
    return sch_verify(signature, SCH_CONTEXT_DEPLOYMENT, bytes->form, public_key);
}

/* Index of the entry of LIST with this twin_id, or the size of LIST. */
static size_t find_twin(const json_t *list, uint32_t twin_id)
{
    size_t i = 0;

    while (i < json_array_size(list) &&
           json_integer_value(json_object_get(json_array_get(list, i), "twin_id")) != twin_id)
        i++;
    return i;
}

/* One verification under way. */
struct verify {
    const json_t *requests;
    const json_t *signatures;
    struct signed_bytes bytes;
    sch_key_fn *key_of;
    void *arg;
    struct sch_report *report;
    uint64_t weight; /* reached so far */
};

static int fail_signature(struct verify *v, size_t i, uint32_t twin_id, const uint8_t *public_key)
{
    char hex[2 * SCH_PUBLIC_LEN + 1];

    hex_encode(hex, public_key, SCH_PUBLIC_LEN);
    (void)sch_fail(v->report, SCH_BAD_SIGNATURE, "signature",
                   "does not verify with the public key %s of twin %" PRIu32
                   ": signed by another key, or changed after signing",
                   hex, twin_id);
    return sch_report_under(v->report, REQUIREMENT ".signatures[%zu]", i);
}

static int fail_missing(struct verify *v, uint32_t twin_id, const uint8_t *public_key)
{
    char hex[2 * SCH_PUBLIC_LEN + 1];

    hex_encode(hex, public_key, SCH_PUBLIC_LEN);
    return sch_fail(v->report, SCH_BAD_SIGNATURE, REQUIREMENT ".signatures",
                    "missing required signature for twin '%" PRIu32 "', public key %s", twin_id,
                    hex);
}

static int fail_sr25519(struct verify *v, size_t i, uint32_t twin_id, const uint8_t *public_key)
{
    char hex[2 * SCH_PUBLIC_LEN + 1];

    hex_encode(hex, public_key, SCH_PUBLIC_LEN);
    (void)sch_fail(v->report, SCH_BAD_SIGNATURE, "signature_type",
                   SCH_SR25519 " cannot be verified here: sign with ed25519, public key %s of twin"
                               " %" PRIu32,
                   hex, twin_id);
    return sch_report_under(v->report, REQUIREMENT ".signatures[%zu]", i);
}

static bool is_sr25519(const json_t *signature)
{
    const char *type = json_string_value(json_object_get(signature, "signature_type"));

    return type != NULL && strcmp(type, SCH_SR25519) == 0;
}

static int verify_request(struct verify *v, const json_t *request, uint32_t owner)
{
    uint32_t twin_id = (uint32_t)json_integer_value(json_object_get(request, "twin_id"));
    bool required = twin_id == owner || json_is_true(json_object_get(request, "required"));
    const uint8_t *key = v->key_of(v->arg, twin_id);
    size_t i = find_twin(v->signatures, twin_id);
    uint8_t signature[SCH_SIGNATURE_LEN];
    const json_t *hex;

    if (key == NULL && !required)
        return ERR_OK;
    if (key == NULL)
        return sch_fail(v->report, SCH_UNKNOWN_TWIN, "twin_id",
                        "twin %" PRIu32 " is not admitted on this node", twin_id);
    if (i == json_array_size(v->signatures))
        return required ? fail_missing(v, twin_id, key) : ERR_OK;
    if (is_sr25519(json_array_get(v->signatures, i)))
        return fail_sr25519(v, i, twin_id, key);
    hex = json_object_get(json_array_get(v->signatures, i), "signature");
    if (hex_decode(signature, sizeof(signature), json_string_value(hex), json_string_length(hex)) !=
            ERR_OK ||
        verify_one(&v->bytes, signature, key) != ERR_OK)
        return fail_signature(v, i, twin_id, key);
    v->weight += (uint64_t)json_integer_value(json_object_get(request, "weight"));
    return ERR_OK;
}

static int verify_all(struct verify *v, const json_t *requirement, uint32_t owner)
{
    uint64_t needed = (uint64_t)json_integer_value(json_object_get(requirement, "weight_required"));

    if (find_twin(v->requests, owner) == json_array_size(v->requests))
        return sch_fail(v->report, SCH_BAD_SIGNATURE, REQUIREMENT ".requests",
                        "must list the owner, twin %" PRIu32, owner);
    for (size_t i = 0; i < json_array_size(v->requests); i++) {
        int rc = verify_request(v, json_array_get(v->requests, i), owner);

        if (rc != ERR_OK)
            return rc;
    }
    if (v->weight < needed)
        return sch_fail(v->report, SCH_BAD_SIGNATURE, REQUIREMENT ".weight_required",
                        "required signature weight is not reached: %" PRIu64 " of %" PRIu64,
                        v->weight, needed);
    return ERR_OK;
}

int sch_deployment_verify(const struct sch_deployment *self, sch_key_fn *key_of, void *arg,
                          struct sch_report *report)
{
    const json_t *requirement = json_object_get(self->json, REQUIREMENT);
    struct verify v = {
        .requests = json_object_get(requirement, "requests"),
        .signatures = json_object_get(requirement, "signatures"),
        .key_of = key_of,
        .arg = arg,
        .report = report,
    };
    int rc = bytes_of(&v.bytes, self->json, self->style);

    if (rc != ERR_OK)
        return sch_fail_nomem(report);
    rc = verify_all(&v, requirement, self->twin_id);
    json_decref(v.bytes.form);
    return rc;
}

uint32_t sch_deployment_signed_by(const struct sch_deployment *self,
                                  const uint8_t public_key[SCH_PUBLIC_LEN])
{
    const json_t *list = json_object_get(json_object_get(self->json, REQUIREMENT), "signatures");
    uint8_t signature[SCH_SIGNATURE_LEN];
    struct signed_bytes bytes;
    uint32_t twin_id = 0;

    if (bytes_of(&bytes, self->json, self->style) != ERR_OK)
        return 0;
    for (size_t i = 0; i < json_array_size(list) && twin_id == 0; i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *hex = json_object_get(entry, "signature");

        if (hex_decode(signature, sizeof(signature), json_string_value(hex),
                       json_string_length(hex)) == ERR_OK &&
            verify_one(&bytes, signature, public_key) == ERR_OK)
            twin_id = (uint32_t)json_integer_value(json_object_get(entry, "twin_id"));
    }
    json_decref(bytes.form);
    return twin_id;
}

/* The member KEY of OBJECT, set to FRESH (stolen) when it is absent. NULL without memory. */
static json_t *member(json_t *object, const char *key, json_t *fresh)
{
    json_t *there = json_object_get(object, key);

    if (there != NULL) {
        json_decref(fresh);
        return there;
    }
    return json_object_set_new(object, key, fresh) == 0 ? fresh : NULL;
}

/* Complete signature_requirement for TWIN_ID and STYLE; NULL when what is there can't be used. */
static json_t *prepare(json_t *json, uint32_t twin_id, enum sch_style style,
                       struct sch_report *report)
{
    const char *name = style == SCH_STYLE_ZOS ? "" : "netwall-1";
    json_t *requirement = member(json, REQUIREMENT, json_object());
    const char *before = json_string_value(json_object_get(requirement, "signature_style"));

    if (!json_is_object(requirement)) {
        (void)sch_fail(report, SCH_BAD_TYPE, REQUIREMENT, "must be an object");
        return NULL;
    }
    if (before != NULL && strcmp(before, name) != 0)
        (void)json_object_del(requirement, "signatures"); /* they cover the other style */
    if (json_object_set_new(requirement, "signature_style", json_string(name)) != 0 ||
        member(requirement, "requests",
               json_pack("[{s:I, s:b, s:i}]", "twin_id", (json_int_t)twin_id, "required", 0,
                         "weight", 1)) == NULL ||
        member(requirement, "weight_required", json_integer(1)) == NULL) {
        (void)sch_fail_nomem(report);
        return NULL;
    }
    return requirement;
}

static int sign_bytes(char hex[SCH_SIGNATURE_HEX], const json_t *json,
                      const struct sch_signer *signer, struct sch_report *report)
{
    uint8_t signature[SCH_SIGNATURE_LEN];
    struct signed_bytes bytes;
    int rc = bytes_of(&bytes, json, signer->style);

    if (rc == ERR_INVALID)
        return sch_fail(report, SCH_UNSUPPORTED_TYPE, "workloads",
                        "hold a type that does not exist in Zero-OS: sign with style netwall-1");
    if (rc != ERR_OK)
        return sch_fail_nomem(report);
    if (signer->style == SCH_STYLE_ZOS)
        sch_sign_bytes(signature, bytes.digest, sizeof(bytes.digest), signer->seed);
    else
        rc = sch_sign(signature, SCH_CONTEXT_DEPLOYMENT, bytes.form, signer->seed);
    json_decref(bytes.form);
    if (rc != ERR_OK)
        return sch_fail_nomem(report);
    hex_encode(hex, signature, sizeof(signature));
    return ERR_OK;
}

int sch_deployment_sign(json_t *json, const struct sch_signer *signer, struct sch_report *report)
{
    uint32_t twin_id = signer->twin_id;
    char hex[SCH_SIGNATURE_HEX];
    json_t *requirement, *signatures, *entry;
    size_t i;
    int rc;

    if (twin_id == 0)
        twin_id = (uint32_t)json_integer_value(json_object_get(json, "twin_id"));
    requirement = prepare(json, twin_id, signer->style, report);
    if (requirement == NULL)
        return ERR_INVALID;
    rc = sign_bytes(hex, json, signer, report);
    if (rc != ERR_OK)
        return rc;
    signatures = member(requirement, "signatures", json_array());
    if (!json_is_array(signatures))
        return sch_fail(report, SCH_BAD_TYPE, REQUIREMENT ".signatures", "must be an array");
    i = find_twin(signatures, twin_id);
    entry = json_pack("{s:I, s:s, s:s}", "twin_id", (json_int_t)twin_id, "signature_type",
                      "ed25519", "signature", hex);
    rc = i < json_array_size(signatures) ? json_array_set_new(signatures, i, entry)
                                         : json_array_append_new(signatures, entry);
    return rc == 0 ? ERR_OK : sch_fail_nomem(report);
}
