/* SPDX-License-Identifier: Apache-2.0 */
/* The structs as tables of fields in the order of Go's; one walk for each direction. */
#include "node-agent/gridtype.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/node.h"
#include "bus/pack.h"
#include "schemas/canonical.h"

enum type {
    U32,
    U64,
    I64,
    BOOL,
    TEXT,
    RAW,    /* JSON text as bytes */
    STRUCT, /* of `inner` */
    LIST,   /* of structs */
    TEXTS,  /* list of texts; ours: left out when it is not there */
    OUTPUT, /* struct that is written only */
};

struct shape;

struct field {
    const char *go;
    const char *json;
    enum type type;
    const struct shape *inner;
};

struct shape {
    const struct field *fields; /* ended by a NULL name */
};

static const struct shape request = {(const struct field[]){
    {"TwinID", "twin_id", U32, NULL},
    {"Required", "required", BOOL, NULL},
    {"Weight", "weight", U64, NULL},
    {0},
}};

static const struct shape signature = {(const struct field[]){
    {"TwinID", "twin_id", U32, NULL},
    {"Signature", "signature", TEXT, NULL},
    {"SignatureType", "signature_type", TEXT, NULL},
    {0},
}};

static const struct shape requirement = {(const struct field[]){
    {"Requests", "requests", LIST, &request},
    {"WeightRequired", "weight_required", U64, NULL},
    {"Signatures", "signatures", LIST, &signature},
    {"SignatureStyle", "signature_style", TEXT, NULL},
    {0},
}};

static const struct shape result = {(const struct field[]){
    {"Created", "created", I64, NULL},
    {"State", "state", TEXT, NULL},
    {"Error", "message", TEXT, NULL},
    {"Data", "data", RAW, NULL},
    {0},
}};

static const struct shape workload = {(const struct field[]){
    {"Version", "version", U32, NULL},
    {"Name", "name", TEXT, NULL},
    {"Type", "type", TEXT, NULL},
    {"Data", "data", RAW, NULL},
    {"Metadata", "metadata", TEXT, NULL},
    {"Description", "description", TEXT, NULL},
    {"Result", "result", OUTPUT, &result},
    {0},
}};

static const struct shape deployment = {(const struct field[]){
    {"Version", "version", U32, NULL},
    {"TwinID", "twin_id", U32, NULL},
    {"ContractID", "contract_id", U64, NULL},
    {"Metadata", "metadata", TEXT, NULL},
    {"Description", "description", TEXT, NULL},
    {"Expiration", "expiration", I64, NULL},
    {"SignatureRequirement", "signature_requirement", STRUCT, &requirement},
    {"Workloads", "workloads", LIST, &workload},
    {"Nodes", "nodes", TEXTS, NULL},
    {0},
}};

/* ---- msgpack -> JSON: each returns 0, ERR_PROTO, ERR_INVALID or ERR_NOMEM ---- */

static int read_struct(json_t **out, const struct bus_node *node, const struct shape *shape,
                       struct sch_report *report);

static int keep(json_t **out, json_t *value)
{
    *out = value;
    return value != NULL ? ERR_OK : ERR_NOMEM;
}

static int read_unsigned(json_t **out, const struct bus_node *node, uint64_t max)
{
    uint64_t number = 0;

    if (node != NULL && (!bus_node_uint(node, &number) || number > max))
        return ERR_PROTO;
    return keep(out, json_integer((json_int_t)number));
}

static int read_signed(json_t **out, const struct bus_node *node)
{
    int64_t number = 0;

    if (node != NULL && !bus_node_int(node, &number))
        return ERR_PROTO;
    return keep(out, json_integer(number));
}

static int read_bool(json_t **out, const struct bus_node *node)
{
    bool flag = false;

    if (node != NULL && !bus_node_bool(node, &flag))
        return ERR_PROTO;
    return keep(out, json_boolean(flag));
}

static int read_text(json_t **out, const struct bus_node *node, struct sch_report *report)
{
    const char *text = "";
    size_t len = 0;

    if (node != NULL && !bus_node_text(node, &text, &len))
        return ERR_PROTO;
    if (len > 0 && memchr(text, '\0', len) != NULL)
        return sch_fail(report, SCH_MALFORMED, "", "holds a NUL");
    *out = json_stringn(text, len);
    return *out != NULL ? ERR_OK : sch_fail(report, SCH_MALFORMED, "", "is not UTF-8");
}

static int read_raw(json_t **out, const struct bus_node *node, struct sch_report *report)
{
    const char *text = "";
    size_t len = 0;

    if (node != NULL && !bus_node_text(node, &text, &len))
        return ERR_PROTO;
    return sch_json_load(out, text, len, NULL, report);
}

static int read_list(json_t **out, const struct bus_node *node, const struct shape *inner,
                     struct sch_report *report)
{
    int rc = keep(out, json_array());

    if (!bus_node_is_nil(node) && !bus_node_is_array(node))
        rc = ERR_PROTO;
    for (size_t i = 0; i < bus_node_count(node) && rc == ERR_OK; i++) {
        const struct bus_node *item = bus_node_at(node, i);
        json_t *value = NULL;

        rc = inner != NULL ? read_struct(&value, item, inner, report)
                           : read_text(&value, item, report);
        if (rc == ERR_INVALID)
            (void)sch_report_under(report, "[%zu]", i);
        if (rc == ERR_OK && json_array_append(*out, value) != 0)
            rc = ERR_NOMEM;
        json_decref(value);
    }
    return rc;
}

static int read_value(json_t **out, const struct bus_node *node, const struct field *field,
                      struct sch_report *report)
{
    switch (field->type) {
    case U32:
        return read_unsigned(out, node, UINT32_MAX);
    case U64:
        return read_unsigned(out, node, INT64_MAX);
    case I64:
        return read_signed(out, node);
    case BOOL:
        return read_bool(out, node);
    case TEXT:
        return read_text(out, node, report);
    case RAW:
        return read_raw(out, node, report);
    case LIST:
    case TEXTS:
        return read_list(out, node, field->inner, report);
    case STRUCT:
    case OUTPUT:
        return read_struct(out, node, field->inner, report);
    }
    return ERR_INVALID;
}

/* Go takes a map by name, an array in order, or nil. */
static int read_struct(json_t **out, const struct bus_node *node, const struct shape *shape,
                       struct sch_report *report)
{
    int rc = keep(out, json_object());

    if (!bus_node_is_nil(node) && !bus_node_is_map(node) && !bus_node_is_array(node))
        rc = ERR_PROTO;
    for (size_t i = 0; shape->fields[i].go != NULL && rc == ERR_OK; i++) {
        const struct field *field = &shape->fields[i];
        const struct bus_node *from =
            bus_node_is_map(node) ? bus_node_get(node, field->go) : bus_node_at(node, i);
        json_t *value = NULL;

        if (field->type == OUTPUT || (field->type == TEXTS && bus_node_is_nil(from)))
            continue;
        rc = read_value(&value, from, field, report);
        if (rc == ERR_OK && json_object_set(*out, field->json, value) != 0)
            rc = ERR_NOMEM;
        if (rc == ERR_INVALID)
            (void)sch_report_under(report, "%s", field->json);
        json_decref(value);
    }
    return rc;
}

int agent_gridtype_read(json_t **out, const struct bus_node *node, struct sch_report *report)
{
    json_t *json = NULL;
    int rc = bus_node_is_nil(node) ? ERR_PROTO : read_struct(&json, node, &deployment, report);

    if (rc != ERR_OK)
        json_decref(json);
    else
        *out = json;
    return rc;
}

/* ---- JSON -> msgpack ---- */

static void pack_struct(struct bus_pack *pack, const json_t *json, const struct shape *shape);

static void pack_raw(struct bus_pack *pack, const json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text != NULL)
        bus_pack_bytes(pack, text, strlen(text));
    else
        bus_pack_nil(pack);
    free(text);
}

static void pack_list(struct bus_pack *pack, const json_t *json, const struct shape *inner)
{
    const json_t *item;
    size_t i;

    bus_pack_array(pack, json_array_size(json));
    json_array_foreach(json, i, item)
    {
        const char *text = json_string_value(item);

        if (inner != NULL)
            pack_struct(pack, item, inner);
        else
            bus_pack_text(pack, text != NULL ? text : "");
    }
}

static void pack_value(struct bus_pack *pack, const json_t *json, const struct field *field)
{
    const char *text = json_string_value(json);

    switch (field->type) {
    case U32:
        bus_pack_u32(pack, (uint32_t)json_integer_value(json));
        break;
    case U64:
        bus_pack_u64(pack, (uint64_t)json_integer_value(json));
        break;
    case I64:
        bus_pack_i64(pack, json_integer_value(json));
        break;
    case BOOL:
        bus_pack_bool(pack, json_is_true(json));
        break;
    case TEXT:
        bus_pack_text(pack, text != NULL ? text : "");
        break;
    case RAW:
        pack_raw(pack, json);
        break;
    case LIST:
    case TEXTS:
        pack_list(pack, json, field->inner);
        break;
    case STRUCT:
    case OUTPUT:
        pack_struct(pack, json, field->inner);
        break;
    }
}

static void pack_struct(struct bus_pack *pack, const json_t *json, const struct shape *shape)
{
    size_t count = 0;

    for (const struct field *f = shape->fields; f->go != NULL; f++)
        count += f->type != TEXTS || json_object_get(json, f->json) != NULL ? 1 : 0;
    bus_pack_map(pack, count);
    for (const struct field *f = shape->fields; f->go != NULL; f++) {
        const json_t *value = json_object_get(json, f->json);

        if (f->type == TEXTS && value == NULL)
            continue;
        bus_pack_text(pack, f->go);
        pack_value(pack, value, f);
    }
}

void agent_gridtype_pack_deployment(struct bus_pack *pack, const json_t *document)
{
    pack_struct(pack, document, &deployment);
}

void agent_gridtype_pack_workload(struct bus_pack *pack, const json_t *item)
{
    pack_struct(pack, item, &workload);
}
