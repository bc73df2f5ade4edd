/* SPDX-License-Identifier: Apache-2.0 */
/* The deployment envelope and its workloads. */
#include "schemas/deployment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/reader.h"

#define STYLE_NETWALL1 "netwall-1"

static const struct sch_int version_field = {.key = "version", .max = UINT32_MAX, .required = true};
static const struct sch_int twin_field = {
    .key = "twin_id", .min = 1, .max = SCH_TWIN_MAX, .required = true};

/* Under the style of Zero-OS only what Zero-OS knows: the challenge covers nothing else. */
static int check_zos(const struct sch_workload *w, struct sch_report *report)
{
    const char *key;
    json_t *value;

    if (!w->type->zos)
        return sch_fail(report, SCH_UNSUPPORTED_TYPE, "type",
                        "does not exist in Zero-OS: sign with style netwall-1");
    json_object_foreach((json_t *)(uintptr_t)w->data, key, value)
    {
        const char *const *known = w->type->zos_fields;

        while (*known != NULL && strcmp(*known, key) != 0)
            known++;
        if (*known != NULL)
            continue;
        (void)sch_fail(report, SCH_MALFORMED, key,
                       "does not exist in Zero-OS: sign with style netwall-1");
        return sch_report_under(report, "data");
    }
    return ERR_OK;
}

static int check_data(struct sch_workload *w, struct sch_report *report)
{
    int rc = w->type->check(&w->facts, w->data, report);

    if (rc == ERR_INVALID)
        return sch_report_under(report, "data");
    return rc;
}

static int read_workload(struct sch_workload *w, const struct sch_deployment *d, const json_t *json,
                         struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(json, report);
    const char *name, *type;
    int rc;

    w->version = (uint32_t)sch_read_int(&r, &version_field);
    name = sch_read_text(&r, "name", true, 0);
    type = sch_read_text(&r, "type", true, 0);
    w->data = sch_read_object(&r, "data", true);
    (void)sch_read_text(&r, "metadata", false, 0);
    (void)sch_read_text(&r, "description", false, 0);
    (void)sch_read_object(&r, "result", false);
    rc = sch_reader_close(&r);
    if (rc != ERR_OK)
        return rc;

    if (!sch_workload_name_ok(name))
        return sch_fail(report, SCH_BAD_NAME, "name",
                        "must be 1-36 letters, digits or _, and not ygg");
    (void)snprintf(w->name, sizeof(w->name), "%s", name);
    w->type = sch_workload_type(type);
    if (w->type == NULL)
        return sch_fail(report, SCH_UNSUPPORTED_TYPE, "type", "there is no workload type \"%s\"",
                        type);
    if (w->version > d->version)
        return sch_fail(report, SCH_OUT_OF_RANGE, "version",
                        "must not be higher than the deployment's");
    if (d->style == SCH_STYLE_ZOS) {
        rc = check_zos(w, report);
        if (rc != ERR_OK)
            return rc;
    }
    return check_data(w, report);
}

static int check_unique(const struct sch_deployment *d, size_t i, struct sch_report *report)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(d->workloads[j].name, d->workloads[i].name) == 0)
            return sch_fail(report, SCH_BAD_NAME, "name", "is also the name of workloads[%zu]", j);
    }
    return ERR_OK;
}

static int read_workloads(struct sch_deployment *d, const json_t *list, struct sch_report *report)
{
    size_t count = json_array_size(list);

    if (count == 0)
        return sch_fail(report, SCH_OUT_OF_RANGE, "workloads", "must hold 1 to %d entries",
                        SCH_WORKLOADS_MAX);
    d->workloads = calloc(count, sizeof(*d->workloads));
    if (d->workloads == NULL)
        return sch_fail_nomem(report);
    for (size_t i = 0; i < count; i++) {
        int rc = read_workload(&d->workloads[i], d, json_array_get(list, i), report);

        if (rc == ERR_OK)
            rc = check_unique(d, i, report);
        if (rc != ERR_OK) {
            (void)sch_report_under(report, "workloads[%zu]", i);
            return rc;
        }
        d->workload_count = i + 1;
    }
    return ERR_OK;
}

static int read_nodes(const struct sch_deployment *d, const json_t *list, struct sch_report *report)
{
    if (d->style == SCH_STYLE_ZOS) {
        if (list == NULL)
            return ERR_OK;
        return sch_fail(report, SCH_MALFORMED, "nodes",
                        "does not exist in Zero-OS: sign with style netwall-1");
    }
    if (list == NULL)
        return sch_fail(report, SCH_MALFORMED, "nodes",
                        "is missing: name the gateways that shall serve this");
    if (json_array_size(list) == 0)
        return sch_fail(report, SCH_OUT_OF_RANGE, "nodes", "must name at least one gateway");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *node = json_array_get(list, i);
        char path[32];

        (void)snprintf(path, sizeof(path), "nodes[%zu]", i);
        if (!json_is_string(node))
            return sch_fail(report, SCH_BAD_TYPE, path, "must be a string");
        if (!sch_node_ok(json_string_value(node)))
            return sch_fail(report, SCH_BAD_NAME, path,
                            "must be a node name (letters, digits, . _ -) or key:<64 hex digits>");
    }
    return ERR_OK;
}

static int read_request(const json_t *json, struct sch_report *report)
{
    static const struct sch_int weight = {.key = "weight", .max = 1000000, .required = true};
    struct sch_reader r = sch_reader_open(json, report);

    (void)sch_read_int(&r, &twin_field);
    (void)sch_read_bool(&r, "required", false, false);
    (void)sch_read_int(&r, &weight);
    return sch_reader_close(&r);
}

/* "" is how Go writes the type nobody set: ed25519. What sr25519 is worth here, verifying says. */
static int read_signature(const json_t *json, struct sch_report *report)
{
    static const char *const types[] = {"ed25519", SCH_SR25519, "", NULL};
    struct sch_reader r = sch_reader_open(json, report);
    uint8_t signature[64];

    (void)sch_read_int(&r, &twin_field);
    (void)sch_read_enum(&r, "signature_type", types, 0);
    sch_read_hex(&r, "signature", signature, sizeof(signature));
    return sch_reader_close(&r);
}

/* Each entry by READ, and no twin twice. */
static int read_signers(const json_t *list, const char *key,
                        int (*read)(const json_t *json, struct sch_report *report),
                        struct sch_report *report)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        int rc = read(entry, report);

        for (size_t j = 0; j < i && rc == ERR_OK; j++) {
            if (json_equal(json_object_get(json_array_get(list, j), "twin_id"),
                           json_object_get(entry, "twin_id")))
                rc = sch_fail(report, SCH_MALFORMED, "twin_id", "is there twice");
        }
        if (rc != ERR_OK)
            return sch_report_under(report, "%s[%zu]", key, i);
    }
    return ERR_OK;
}

static int read_requirement(struct sch_deployment *d, const json_t *json, struct sch_report *report)
{
    static const char *const styles[] = {
        [SCH_STYLE_ZOS] = "", [SCH_STYLE_NETWALL1] = STYLE_NETWALL1, NULL};
    static const struct sch_int weight = {
        .key = "weight_required", .max = 1000000, .required = true};
    struct sch_reader r = sch_reader_open(json, report);
    const json_t *requests = sch_read_array(&r, "requests", true, SCH_REQUESTS_MAX);
    const json_t *signatures = sch_read_array(&r, "signatures", false, SCH_REQUESTS_MAX);
    int rc;

    (void)sch_read_int(&r, &weight);
    d->style = (enum sch_style)sch_read_enum(&r, "signature_style", styles, SCH_STYLE_ZOS);
    rc = sch_reader_close(&r);
    if (rc == ERR_OK)
        rc = read_signers(requests, "requests", read_request, report);
    if (rc == ERR_OK)
        rc = read_signers(signatures, "signatures", read_signature, report);
    return rc == ERR_OK ? ERR_OK : sch_report_under(report, "signature_requirement");
}

/* The fields of the envelope that are not plain values. */
struct parts {
    const json_t *nodes;
    const json_t *requirement;
    const json_t *workloads;
};

static int read_envelope(struct sch_deployment *d, struct parts *parts, struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(d->json, report);

    d->version = (uint32_t)sch_read_int(&r, &version_field);
    d->twin_id = (uint32_t)sch_read_int(&r, &twin_field);
    d->contract_id = (uint64_t)sch_read_int(
        &r,
        &(struct sch_int){.key = "contract_id", .min = 1, .max = SCH_INT_MAX, .required = true});
    d->expiration =
        (uint64_t)sch_read_int(&r, &(struct sch_int){.key = "expiration", .max = SCH_INT_MAX});
    (void)sch_read_text(&r, "metadata", false, 0);
    (void)sch_read_text(&r, "description", false, 0);
    parts->nodes = sch_read_array(&r, "nodes", false, SCH_NODES_MAX);
    parts->requirement = sch_read_object(&r, "signature_requirement", false);
    parts->workloads = sch_read_array(&r, "workloads", true, SCH_WORKLOADS_MAX);
    return sch_reader_close(&r);
}

static int read_all(struct sch_deployment *d, struct sch_report *report)
{
    struct parts parts;
    json_t *form;
    int rc = read_envelope(d, &parts, report);

    if (rc != ERR_OK)
        return rc;
    if (parts.requirement == NULL)
        return sch_fail(report, SCH_BAD_SIGNATURE, "signature_requirement",
                        "is missing: sign the contract (netwall sign)");
    rc = read_requirement(d, parts.requirement, report);
    if (rc == ERR_OK)
        rc = read_nodes(d, parts.nodes, report);
    if (rc == ERR_OK)
        rc = read_workloads(d, parts.workloads, report);
    if (rc != ERR_OK)
        return rc;
    form = sch_deployment_signed_form(d->json);
    if (form == NULL || sch_canonical_hash(d->hash, form) != ERR_OK)
        rc = sch_fail_nomem(report);
    json_decref(form);
    return rc;
}

int sch_deployment_from_json(struct sch_deployment **out, json_t *json, struct sch_report *report)
{
    struct sch_deployment *d;
    int rc = sch_json_check(json, NULL, report);

    if (rc != ERR_OK)
        return rc;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return sch_fail_nomem(report);
    d->json = json_incref(json);
    rc = read_all(d, report);
    if (rc != ERR_OK) {
        sch_deployment_free(d);
        return rc;
    }
    *out = d;
    return ERR_OK;
}

int sch_deployment_parse(struct sch_deployment **out, const char *text, size_t len,
                         struct sch_report *report)
{
    json_t *json;
    int rc = sch_json_load(&json, text, len, NULL, report);

    if (rc != ERR_OK)
        return rc;
    rc = sch_deployment_from_json(out, json, report);
    json_decref(json);
    return rc;
}

void sch_deployment_free(struct sch_deployment *self)
{
    if (self == NULL)
        return;
    free(self->workloads);
    json_decref(self->json);
    free(self);
}

bool sch_deployment_names_node(const struct sch_deployment *self, const char *name,
                               const char *key_hex)
{
    if (self->style == SCH_STYLE_ZOS)
        return true;
    return sch_nodes_hold(json_object_get(self->json, "nodes"), name, key_hex);
}

unsigned sch_deployment_quota(const struct sch_deployment *self, enum sch_quota quota)
{
    unsigned n = 0;

    for (size_t i = 0; i < self->workload_count; i++)
        n += (self->workloads[i].type->quotas >> quota) & 1u;
    return n;
}

/* A copy of OBJECT without KEY; NULL without memory. What is no object is taken as it is. */
static json_t *without(json_t *object, const char *key)
{
    json_t *copy;

    if (!json_is_object(object))
        return json_incref(object);
    copy = json_copy(object);
    if (copy != NULL)
        (void)json_object_del(copy, key); /* not there: fine */
    return copy;
}

static json_t *workloads_signed_form(const json_t *list)
{
    json_t *out = json_array();

    for (size_t i = 0; out != NULL && i < json_array_size(list); i++) {
        if (json_array_append_new(out, without(json_array_get(list, i), "result")) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

json_t *sch_deployment_signed_form(const json_t *json)
{
    json_t *out = json_copy((json_t *)(uintptr_t)json);
    json_t *requirement = json_object_get(json, "signature_requirement");
    json_t *workloads = json_object_get(json, "workloads");
    bool bad = out == NULL;

    if (!bad && requirement != NULL)
        bad = json_object_set_new(out, "signature_requirement",
                                  without(requirement, "signatures")) != 0;
    if (!bad && json_is_array(workloads))
        bad = json_object_set_new(out, "workloads", workloads_signed_form(workloads)) != 0;
    if (!bad)
        return out;
    json_decref(out);
    return NULL;
}
