/* SPDX-License-Identifier: Apache-2.0 */
/* Grants, revocations, locks and deletes. */
#include "schemas/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/reader.h"

static const struct {
    const char *name;
    const char *context;
} kinds[SCH_STATEMENT_KINDS] = {
    [SCH_GRANT] = {"grant", "netwall grant v1\n"},
    [SCH_REVOKE] = {"revoke", "netwall revoke v1\n"},
    [SCH_LOCK] = {"lock", "netwall lock v1\n"},
    [SCH_DELETE] = {"delete", "netwall delete v1\n"},
};

const char *sch_statement_text(enum sch_statement_kind kind)
{
    return kinds[kind].name;
}

static void read_limits(struct sch_statement *s, struct sch_reader *r)
{
    const json_t *object = sch_read_object(r, "limits", false);
    struct sch_reader in;

    for (unsigned q = 0; q < SCH_QUOTAS; q++)
        s->limits[q] = sch_quota_default((enum sch_quota)q);
    if (object == NULL || r->rc != ERR_OK)
        return;
    in = sch_reader_open(object, r->report);
    for (unsigned q = 0; q < SCH_QUOTAS; q++)
        s->limits[q] = (unsigned)sch_read_int(
            &in, &(struct sch_int){.key = sch_quota_text((enum sch_quota)q),
                                   .max = SCH_QUOTA_MAX,
                                   .fallback = sch_quota_default((enum sch_quota)q)});
    r->rc = sch_reader_close(&in);
    if (r->rc != ERR_OK)
        (void)sch_report_under(r->report, "limits");
}

/* LIST of names: COUNT rows of WIDTH bytes, each made canonical by CANON. */
struct names {
    const char *key;
    size_t width;
    int (*canon)(char *out, const char *text, size_t len);
    const char *why;
};

static int canon_domain(char *out, const char *text, size_t len)
{
    return host_canon(out, text, len);
}

static int canon_label(char *out, const char *text, size_t len)
{
    return host_label(out, text, len);
}

static void *read_names(const struct names *names, struct sch_reader *r, size_t *count)
{
    const json_t *list = sch_read_array(r, names->key, false, SCH_DOMAINS_MAX);
    size_t n = json_array_size(list);
    char *rows;

    *count = 0;
    if (n == 0 || r->rc != ERR_OK)
        return NULL;
    rows = calloc(n, names->width);
    if (rows == NULL) {
        r->rc = sch_fail_nomem(r->report);
        return NULL;
    }
    for (size_t i = 0; i < n && r->rc == ERR_OK; i++) {
        const json_t *text = json_array_get(list, i);

        if (!json_is_string(text))
            r->rc = sch_fail(r->report, SCH_BAD_TYPE, "", "must be a string");
        else if (names->canon(rows + i * names->width, json_string_value(text),
                              json_string_length(text)) != ERR_OK)
            r->rc = sch_fail(r->report, SCH_BAD_NAME, "", "%s", names->why);
        if (r->rc != ERR_OK)
            (void)sch_report_under(r->report, "%s[%zu]", names->key, i);
        *count = i + 1;
    }
    return rows;
}

static void read_key(struct sch_reader *r, const char *key, uint8_t out[SCH_PUBLIC_LEN])
{
    static const uint8_t zero[SCH_PUBLIC_LEN];

    sch_read_hex(r, key, out, SCH_PUBLIC_LEN);
    if (r->rc == ERR_OK && memcmp(out, zero, sizeof(zero)) == 0)
        sch_reader_fail(r, SCH_OUT_OF_RANGE, key, "is all zeros, which is no key");
}

static void read_grant(struct sch_statement *s, struct sch_reader *r)
{
    static const struct names domains = {"domains", HOST_CAP, canon_domain, "is not a host name"};
    static const struct names labels = {"names", HOST_LABEL_MAX + 1, canon_label,
                                        "must be one label of a host name"};

    read_key(r, "public_key", s->public_key);
    s->not_after =
        (uint64_t)sch_read_int(r, &(struct sch_int){.key = "not_after", .max = SCH_INT_MAX});
    read_limits(s, r);
    s->domains = read_names(&domains, r, &s->domain_count);
    s->names = read_names(&labels, r, &s->name_count);
}

static void read_nodes(struct sch_reader *r)
{
    const json_t *list = sch_read_array(r, "nodes", true, SCH_NODES_MAX);

    if (r->rc == ERR_OK && json_array_size(list) == 0)
        sch_reader_fail(r, SCH_OUT_OF_RANGE, "nodes", "must name at least one gateway");
    for (size_t i = 0; i < json_array_size(list) && r->rc == ERR_OK; i++) {
        const char *node = json_string_value(json_array_get(list, i));

        if (node == NULL)
            r->rc = sch_fail(r->report, SCH_BAD_TYPE, "", "must be a string");
        else if (!sch_node_ok(node))
            r->rc = sch_fail(r->report, SCH_BAD_NAME, "",
                             "must be a node name (letters, digits, . _ -) or key:<64 hex digits>");
        if (r->rc != ERR_OK)
            (void)sch_report_under(r->report, "nodes[%zu]", i);
    }
}

static void read_delete(struct sch_statement *s, struct sch_reader *r)
{
    s->contract_id = (uint64_t)sch_read_int(
        r, &(struct sch_int){.key = "contract_id", .min = 1, .max = SCH_INT_MAX, .required = true});
    s->version = (uint32_t)sch_read_int(
        r, &(struct sch_int){.key = "version", .max = UINT32_MAX, .required = true});
    read_nodes(r);
}

static void read_lock(struct sch_statement *s, struct sch_reader *r)
{
    s->contract_id = (uint64_t)sch_read_int(
        r, &(struct sch_int){.key = "contract_id", .min = 1, .max = SCH_INT_MAX});
    s->lock = sch_read_bool(r, "lock", true, false);
}

static void read_signed(struct sch_statement *s, struct sch_reader *r)
{
    if (s->kind != SCH_DELETE) {
        s->serial = (uint64_t)sch_read_int(
            r, &(struct sch_int){.key = "serial", .max = SCH_INT_MAX, .required = true});
        read_key(r, "authority", s->authority);
    }
    if (r->rc == ERR_OK && json_object_get(r->object, "signature") == NULL) {
        sch_reader_fail(r, SCH_BAD_SIGNATURE, "signature", "is missing: sign it first");
        r->missing = true;
    }
    sch_read_hex(r, "signature", s->signature, sizeof(s->signature));
}

static int read_all(struct sch_statement *s, struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(s->json, report);

    s->twin_id = (uint32_t)sch_read_int(
        &r, &(struct sch_int){.key = "twin_id", .min = 1, .max = SCH_TWIN_MAX, .required = true});
    if (s->kind == SCH_REVOKE || s->kind == SCH_LOCK)
        (void)snprintf(s->reason, sizeof(s->reason), "%s",
                       sch_read_text(&r, "reason", false, SCH_REASON_MAX));
    if (s->kind == SCH_GRANT)
        read_grant(s, &r);
    else if (s->kind == SCH_LOCK)
        read_lock(s, &r);
    else if (s->kind == SCH_DELETE)
        read_delete(s, &r);
    read_signed(s, &r);
    return sch_reader_close(&r);
}

int sch_statement_from_json(struct sch_statement **out, enum sch_statement_kind kind, json_t *json,
                            struct sch_report *report)
{
    struct sch_statement *s;
    int rc = sch_json_check(json, NULL, report);

    if (rc != ERR_OK)
        return rc;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return sch_fail_nomem(report);
    s->kind = kind;
    s->json = json_incref(json);
    rc = read_all(s, report);
    if (rc != ERR_OK) {
        sch_statement_free(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

int sch_statement_parse(struct sch_statement **out, enum sch_statement_kind kind, const char *text,
                        size_t len, struct sch_report *report)
{
    json_t *json;
    int rc = sch_json_load(&json, text, len, NULL, report);

    if (rc != ERR_OK)
        return rc;
    rc = sch_statement_from_json(out, kind, json, report);
    json_decref(json);
    return rc;
}

void sch_statement_free(struct sch_statement *self)
{
    if (self == NULL)
        return;
    free(self->domains);
    free(self->names);
    json_decref(self->json);
    free(self);
}

/* A copy of JSON without its signature; NULL without memory. */
static json_t *signed_form(const json_t *json)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)json);

    if (copy != NULL)
        (void)json_object_del(copy, "signature"); /* not there: fine */
    return copy;
}

int sch_statement_verify(const struct sch_statement *self, const uint8_t *public_key,
                         struct sch_report *report)
{
    const uint8_t *key = public_key != NULL ? public_key : self->authority;
    char hex[2 * SCH_PUBLIC_LEN + 1];
    json_t *form = signed_form(self->json);
    int rc;

    if (form == NULL)
        return sch_fail_nomem(report);
    rc = sch_verify(self->signature, kinds[self->kind].context, form, key);
    json_decref(form);
    if (rc == ERR_OK || rc == ERR_NOMEM)
        return rc;
    hex_encode(hex, key, SCH_PUBLIC_LEN);
    return sch_fail(report, SCH_BAD_SIGNATURE, "signature",
                    "does not verify with the public key %s: signed by another key, or changed "
                    "after signing",
                    hex);
}

int sch_statement_sign(json_t *json, enum sch_statement_kind kind, const uint8_t seed[SCH_SEED_LEN],
                       struct sch_report *report)
{
    uint8_t public_key[SCH_PUBLIC_LEN], signature[SCH_SIGNATURE_LEN];
    char hex[SCH_SIGNATURE_HEX];
    json_t *form;
    int rc;

    sch_public_of(public_key, seed);
    hex_encode(hex, public_key, sizeof(public_key));
    if (kind != SCH_DELETE && json_object_set_new(json, "authority", json_string(hex)) != 0)
        return sch_fail_nomem(report);
    rc = sch_json_check(json, NULL, report);
    if (rc != ERR_OK)
        return rc;
    form = signed_form(json);
    if (form == NULL)
        return sch_fail_nomem(report);
    rc = sch_sign(signature, kinds[kind].context, form, seed);
    json_decref(form);
    hex_encode(hex, signature, sizeof(signature));
    if (rc != ERR_OK || json_object_set_new(json, "signature", json_string(hex)) != 0)
        return sch_fail_nomem(report);
    return ERR_OK;
}

int sch_statement_guess(enum sch_statement_kind *out, const json_t *json)
{
    if (json_object_get(json, "public_key") != NULL)
        *out = SCH_GRANT;
    else if (json_object_get(json, "lock") != NULL)
        *out = SCH_LOCK;
    else if (json_object_get(json, "version") != NULL && json_object_get(json, "nodes") != NULL &&
             json_object_get(json, "workloads") == NULL)
        *out = SCH_DELETE;
    else if (json_object_get(json, "authority") != NULL && json_object_get(json, "serial") != NULL)
        *out = SCH_REVOKE;
    else
        return ERR_INVALID;
    return ERR_OK;
}

bool sch_statement_names_node(const struct sch_statement *self, const char *name,
                              const char *key_hex)
{
    return sch_nodes_hold(json_object_get(self->json, "nodes"), name, key_hex);
}

bool sch_grant_reserves(const struct sch_statement *grant, const struct sch_claim *claim)
{
    const char *host = claim->wild ? host_parent(claim->key) : claim->key;

    for (size_t i = 0; claim->kind == SCH_CLAIM_NAME && i < grant->name_count; i++) {
        if (strcmp(grant->names[i], claim->key) == 0)
            return true;
    }
    for (size_t i = 0; claim->kind == SCH_CLAIM_HOST && i < grant->domain_count; i++) {
        if (host_under(host, grant->domains[i]))
            return true;
    }
    return false;
}
