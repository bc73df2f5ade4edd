/* SPDX-License-Identifier: Apache-2.0 */
/* From a node of msgpack to the JSON of a contract's workload. */
#include "modules/gateway/zos_proxy.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/host.h"
#include "bus/node.h"
#include "schemas/canonical.h"
#include "schemas/workload.h"

#define TEXT_MAX 1024   /* of one field, with its NUL */
#define BACKENDS_MAX 64 /* looked at; more than 16 are refused further on */
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The two structs differ in their last field. */
struct kind {
    const char *type;      /* of the workload */
    const char *go_name;   /* the field in the call */
    const char *json_name; /* and in a contract */
};

static const struct kind kinds[] = {
    [GW_ZOS_NAME] = {SCH_TYPE_NAME_PROXY, "Name", "name"},
    [GW_ZOS_FQDN] = {SCH_TYPE_FQDN_PROXY, "FQDN", "fqdn"},
};

/* ---- ids ---- */

/* A number at *TEXT up to MAX, and the dash behind it; as Go's Sscanf sees and calls them. */
static const char *scan_number(const char **text, unsigned long long max)
{
    size_t len = strspn(*text, DIGITS);
    unsigned long long number;

    if ((*text)[0] == '\0')
        return "unexpected EOF";
    if (len == 0)
        return "expected integer";
    errno = 0;
    number = strtoull(*text, NULL, 10);
    if (errno != 0 || number > max)
        return "unsigned integer overflow";
    *text += len;
    if ((*text)[0] == '\0')
        return "unexpected EOF";
    if ((*text)[0] != '-')
        return "input does not match format";
    (*text)++;
    return NULL;
}

int gw_zos_id_check(enum gw_zos_kind kind, const char *id, char why[GW_ZOS_WHY_MAX])
{
    const char *rest = id;
    const char *wrong = scan_number(&rest, UINT32_MAX);

    if (wrong == NULL)
        wrong = scan_number(&rest, UINT64_MAX);
    if (wrong == NULL && rest[0] == '\0')
        wrong = "unexpected EOF";
    if (kind == GW_ZOS_NAME && wrong != NULL)
        return gw_zos_fail(why, "invalid workload id: %s", wrong);
    if (id[0] == '\0' || strspn(id, LETTERS DIGITS "._-") != strlen(id))
        return gw_zos_fail(why, "invalid workload id: unsupported character in workload name");
    return ERR_OK;
}

/* ---- fields ---- */

/* Go's decoder takes a struct as a map by name or as an array in order. */
static const struct bus_node *field(const struct bus_node *node, const char *name, size_t at)
{
    return bus_node_is_map(node) ? bus_node_get(node, name) : bus_node_at(node, at);
}

/* A text, "" when it is not there. ERR_PROTO for another type; ERR_INVALID when it cannot be ours:
 * too long, or with a NUL. */
static int read_text(char out[TEXT_MAX], const struct bus_node *node)
{
    const char *text;
    size_t len;

    out[0] = '\0';
    if (node == NULL)
        return ERR_OK;
    if (!bus_node_text(node, &text, &len))
        return ERR_PROTO;
    return bus_node_copy(node, out, TEXT_MAX) ? ERR_OK : ERR_INVALID;
}

static bool is_name(const char *text)
{
    char label[HOST_LABEL_MAX + 1];

    return host_label(label, text, strlen(text)) == ERR_OK;
}

/* ^([a-zA-Z0-9-_]+\.)+[a-zA-Z0-9-_]{2,}$, and a host name by our rules. */
static bool is_fqdn(const char *text)
{
    const char *last = strrchr(text, '.');
    char host[HOST_CAP];

    return last != NULL && strlen(last + 1) >= 2 && host_canon(host, text, strlen(text)) == ERR_OK;
}

static int read_name(json_t *data, enum gw_zos_kind kind, const struct bus_node *node,
                     char why[GW_ZOS_WHY_MAX])
{
    char text[TEXT_MAX];
    int rc = read_text(text, node);

    if (rc == ERR_PROTO)
        return rc;
    if (kind == GW_ZOS_NAME && (rc != ERR_OK || !is_name(text)))
        return gw_zos_fail(why, "name %.300s is invalid", text);
    if (kind == GW_ZOS_FQDN && (rc != ERR_OK || !is_fqdn(text)))
        return gw_zos_fail(why, "fqdn %.300s is invalid", text);
    return json_object_set_new(data, kinds[kind].json_name, json_string(text)) == 0 ? ERR_OK
                                                                                    : ERR_NOMEM;
}

static int read_backend(json_t *list, const struct bus_node *node, bool passthrough,
                        char why[GW_ZOS_WHY_MAX])
{
    char text[TEXT_MAX], out[GW_ZOS_BACKEND_MAX], inner[GW_ZOS_WHY_MAX];
    int rc = read_text(text, node);

    if (rc == ERR_PROTO)
        return rc;
    if (rc != ERR_OK)
        return gw_zos_fail(why, "failed to validate backend: it is too long or no text");
    if (gw_zos_backend_read(out, text, passthrough, inner) != ERR_OK)
        return gw_zos_fail(why, "failed to validate backend '%.100s': %.380s", text, inner);
    return json_array_append_new(list, json_string(out)) == 0 ? ERR_OK : ERR_NOMEM;
}

static int read_backends(json_t *data, const struct bus_node *node, bool passthrough,
                         char why[GW_ZOS_WHY_MAX])
{
    json_t *list = json_array();
    int rc = json_object_set_new(data, "backends", list) == 0 ? ERR_OK : ERR_NOMEM;

    if (!bus_node_is_nil(node) && !bus_node_is_array(node))
        return ERR_PROTO;
    if (bus_node_count(node) == 0)
        return gw_zos_fail(why, "backends list can not be empty");
    for (size_t i = 0; i < bus_node_count(node) && i < BACKENDS_MAX && rc == ERR_OK; i++)
        rc = read_backend(list, bus_node_at(node, i), passthrough, why);
    return rc;
}

static int read_network(const struct bus_node *node, char why[GW_ZOS_WHY_MAX])
{
    char text[TEXT_MAX];
    int rc = read_text(text, node);

    if (rc == ERR_PROTO || (rc == ERR_OK && text[0] == '\0'))
        return rc;
    return gw_zos_fail(why, "failed to get user network: "
                            "private networks are not supported on this node");
}

static int read_data(json_t *data, enum gw_zos_kind kind, const struct bus_node *node,
                     char why[GW_ZOS_WHY_MAX])
{
    const struct bus_node *passthrough = field(node, "TLSPassthrough", 0);
    bool raw = false;
    int rc = read_name(data, kind, field(node, kinds[kind].go_name, 3), why);

    if (passthrough != NULL && !bus_node_bool(passthrough, &raw))
        return ERR_PROTO;
    if (rc == ERR_OK)
        rc = read_backends(data, field(node, "Backends", 1), raw, why);
    if (rc == ERR_OK)
        rc = read_network(field(node, "Network", 2), why);
    if (rc == ERR_OK && json_object_set_new(data, "tls_passthrough", json_boolean(raw)) != 0)
        rc = ERR_NOMEM;
    return rc;
}

int gw_zos_proxy_read(char **spec, enum gw_zos_kind kind, const struct bus_node *node,
                      char why[GW_ZOS_WHY_MAX])
{
    json_t *data, *json;
    int rc;

    if (!bus_node_is_map(node) && !bus_node_is_array(node))
        return ERR_PROTO;
    data = json_object();
    json = json_pack("{s:s, s:O}", "type", kinds[kind].type, "data", data);
    rc = json != NULL ? read_data(data, kind, node, why) : ERR_NOMEM;
    if (rc == ERR_OK) {
        *spec = sch_canonical(json, NULL);
        if (*spec == NULL)
            rc = gw_zos_fail(why, "%s", "not valid text");
    }
    json_decref(json);
    json_decref(data);
    return rc;
}
