/* SPDX-License-Identifier: Apache-2.0 */
/* Desired state from the agent to a module. */
#include "schemas/assignment.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/reader.h"

/* An entry is a workload's data and a few fields around it. */
static const struct sch_json_limits entry_limits = {
    .bytes = 2 * SCH_DOCUMENT_MAX,
    .depth = SCH_DEPTH_MAX + 2,
};

static const char *const ops[] = {"set", "gone", NULL};

json_t *sch_spec_json(const struct sch_spec *self)
{
    json_t *domains = self->domains != NULL ? json_incref(self->domains) : json_array();

    return json_pack("{s:s, s:I, s:I, s:s, s:I, s:s, s:O, s:s, s:o, s:b, s:s}", "id", self->id,
                     "twin", (json_int_t)self->twin, "contract", (json_int_t)self->contract, "name",
                     self->name, "version", (json_int_t)self->version, "type", self->type, "data",
                     self->data, "twin_key", self->twin_key, "domains", domains, "paused",
                     self->paused, "reason", self->reason);
}

/* The text of field KEY into OUT; an error when it does not fit. */
static void read_into(struct sch_reader *r, const char *key, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s", sch_read_text(r, key, true, cap - 1));
}

int sch_spec_parse(struct sch_spec *out, const json_t *json, struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(json, report);
    const json_t *data, *domains;
    char id[SCH_ID_CAP];
    int rc;

    memset(out, 0, sizeof(*out));
    read_into(&r, "id", out->id, sizeof(out->id));
    out->twin = (uint32_t)sch_read_int(
        &r, &(struct sch_int){.key = "twin", .min = 1, .max = SCH_TWIN_MAX, .required = true});
    out->contract = (uint64_t)sch_read_int(
        &r, &(struct sch_int){.key = "contract", .min = 1, .max = SCH_INT_MAX, .required = true});
    read_into(&r, "name", out->name, sizeof(out->name));
    out->version = (uint32_t)sch_read_int(
        &r, &(struct sch_int){.key = "version", .max = UINT32_MAX, .required = true});
    read_into(&r, "type", out->type, sizeof(out->type));
    data = sch_read_object(&r, "data", true);
    read_into(&r, "twin_key", out->twin_key, sizeof(out->twin_key));
    domains = sch_read_array(&r, "domains", true, SCH_DOMAINS_MAX);
    out->paused = sch_read_bool(&r, "paused", true, false);
    read_into(&r, "reason", out->reason, sizeof(out->reason));
    rc = sch_reader_close(&r);
    if (rc == ERR_OK &&
        strcmp(out->id, sch_workload_id(id, out->twin, out->contract, out->name)) != 0)
        rc = sch_fail(report, SCH_MALFORMED, "id", "is not <twin>-<contract>-<name>");
    if (rc != ERR_OK)
        return rc;
    out->data = json_incref((json_t *)(uintptr_t)data);
    out->domains = json_incref((json_t *)(uintptr_t)domains);
    return ERR_OK;
}

void sch_spec_deinit(struct sch_spec *self)
{
    json_decref(self->data);
    json_decref(self->domains);
    self->data = NULL;
    self->domains = NULL;
}

/* Hash of SPEC as it stands in the entry; a gone entry has the hash of `null`. */
static int spec_hash(char out[SCH_HASH_HEX], json_t *spec)
{
    uint8_t hash[SCH_HASH_LEN];
    int rc = sch_canonical_hash(hash, spec != NULL ? spec : json_null());

    hex_encode(out, hash, sizeof(hash));
    return rc;
}

int sch_assign_make(struct sch_assign *out, uint64_t rev, json_t *spec)
{
    memset(out, 0, sizeof(*out));
    out->rev = rev;
    out->gone = spec == NULL;
    if (spec_hash(out->hash, spec) != ERR_OK)
        return ERR_NOMEM;
    out->spec = json_incref(spec);
    return ERR_OK;
}

void sch_assign_deinit(struct sch_assign *self)
{
    json_decref(self->spec);
    self->spec = NULL;
}

/* Canonical text of JSON, which is stolen. */
static char *print(json_t *json)
{
    char *text = json != NULL ? sch_canonical(json, NULL) : NULL;

    json_decref(json);
    return text;
}

char *sch_assign_print(const struct sch_assign *self)
{
    return print(json_pack("{s:I, s:s, s:s, s:O}", "rev", (json_int_t)self->rev, "op",
                           ops[self->gone], "hash", self->hash, "spec",
                           self->spec != NULL ? self->spec : json_null()));
}

static int read_entry(struct sch_assign *out, json_t *json, struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(json, report);
    char hash[SCH_HASH_HEX];
    json_t *spec;
    int rc;

    memset(out, 0, sizeof(*out));
    out->rev = (uint64_t)sch_read_int(
        &r, &(struct sch_int){.key = "rev", .max = SCH_INT_MAX, .required = true});
    out->gone = sch_read_enum(&r, "op", ops, 0) == 1;
    read_into(&r, "hash", out->hash, sizeof(out->hash));
    spec = (json_t *)(uintptr_t)sch_read_any(&r, "spec", true);
    rc = sch_reader_close(&r);
    if (rc == ERR_OK && (out->gone ? !json_is_null(spec) : !json_is_object(spec)))
        rc = sch_fail(report, SCH_BAD_TYPE, "spec", "does not fit op");
    if (rc != ERR_OK)
        return rc;
    if (spec_hash(hash, spec) != ERR_OK)
        return sch_fail_nomem(report);
    if (strcmp(hash, out->hash) != 0)
        return sch_fail(report, SCH_MALFORMED, "hash", "does not fit the spec: damaged entry");
    if (!out->gone)
        out->spec = json_incref(spec);
    return ERR_OK;
}

int sch_assign_parse(struct sch_assign *out, const char *text, size_t len,
                     struct sch_report *report)
{
    json_t *json;
    int rc = sch_json_load(&json, text, len, &entry_limits, report);

    if (rc != ERR_OK)
        return rc;
    rc = read_entry(out, json, report);
    json_decref(json);
    return rc;
}

void sch_digest_toggle(struct sch_digest *self, const char *id, const struct sch_assign *entry)
{
    crypto_generichash_state state;
    uint8_t hash[SCH_HASH_LEN];
    char rev[24];
    int digits = snprintf(rev, sizeof(rev), "%" PRIu64, entry->rev);
    const char *op = ops[entry->gone];

    /* every part with its NUL, so that no two lists of parts give the same bytes */
    crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    crypto_generichash_update(&state, (const uint8_t *)id, strlen(id) + 1);
    crypto_generichash_update(&state, (const uint8_t *)rev, (size_t)digits + 1);
    crypto_generichash_update(&state, (const uint8_t *)op, strlen(op) + 1);
    crypto_generichash_update(&state, (const uint8_t *)entry->hash, strlen(entry->hash));
    crypto_generichash_final(&state, hash, sizeof(hash));
    for (size_t i = 0; i < sizeof(hash); i++)
        self->bytes[i] ^= hash[i];
}

void sch_digest_text(char out[SCH_HASH_HEX], const struct sch_digest *self)
{
    hex_encode(out, self->bytes, sizeof(self->bytes));
}

char *sch_assign_head_print(const struct sch_assign_head *self)
{
    return print(json_pack("{s:I, s:I, s:I, s:s}", "epoch", (json_int_t)self->epoch, "rev",
                           (json_int_t)self->rev, "count", (json_int_t)self->count, "digest",
                           self->digest));
}

int sch_assign_head_parse(struct sch_assign_head *out, const char *text, size_t len,
                          struct sch_report *report)
{
    uint8_t digest[SCH_HASH_LEN];
    struct sch_reader r;
    json_t *json;
    int rc = sch_json_load(&json, text, len, NULL, report);

    if (rc != ERR_OK)
        return rc;
    r = sch_reader_open(json, report);
    out->epoch = (uint64_t)sch_read_int(
        &r, &(struct sch_int){.key = "epoch", .max = SCH_INT_MAX, .required = true});
    out->rev = (uint64_t)sch_read_int(
        &r, &(struct sch_int){.key = "rev", .max = SCH_INT_MAX, .required = true});
    out->count = (uint64_t)sch_read_int(
        &r, &(struct sch_int){.key = "count", .max = SCH_INT_MAX, .required = true});
    sch_read_hex(&r, "digest", digest, sizeof(digest));
    hex_encode(out->digest, digest, sizeof(digest));
    rc = sch_reader_close(&r);
    json_decref(json);
    return rc;
}
