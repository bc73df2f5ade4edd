/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus messages to and from bytes. Strict where it protects us, tolerant where Go and Rust differ.
 */
#include "bus/wire.h"

#include <string.h>

#include "bus/base/err.h"

/* A text field of at most BUS_WIRE_NAME_MAX bytes; a missing one is empty. */
static bool read_name(char out[BUS_WIRE_NAME_MAX + 1], const struct bus_node *map, const char *key)
{
    const struct bus_node *node = bus_node_get(map, key);

    out[0] = '\0';
    return node == NULL || bus_node_copy(node, out, BUS_WIRE_NAME_MAX + 1);
}

static int read_inputs(struct bus_wire_request *out, const struct bus_node *inputs)
{
    if (bus_node_is_nil(inputs))
        return ERR_OK; /* Go writes a nil slice so */
    if (!bus_node_is_array(inputs))
        return ERR_PROTO;
    if (bus_node_count(inputs) > BUS_WIRE_INPUTS_MAX)
        return ERR_LIMIT;
    out->input_count = bus_node_count(inputs);
    for (size_t i = 0; i < out->input_count; i++) {
        struct bus_wire_input *input = &out->inputs[i];

        if (!bus_node_bytes(bus_node_at(inputs, i), &input->data, &input->len))
            return ERR_PROTO;
    }
    return ERR_OK;
}

static int read_request(struct bus_wire_request *out, const struct bus_node *root)
{
    const struct bus_node *object = bus_node_get(root, "Object");
    const struct bus_node *deadline = bus_node_get(root, "Deadline");

    if (!bus_node_is_map(root) || (!bus_node_is_nil(object) && !bus_node_is_map(object)))
        return ERR_PROTO;
    if (!read_name(out->id, root, "ID") || !read_name(out->reply_to, root, "ReplyTo") ||
        !read_name(out->method, root, "Method") || !read_name(out->object, object, "Name") ||
        !read_name(out->version, object, "Version"))
        return ERR_PROTO;
    if (!bus_node_is_nil(deadline) && !bus_node_uint(deadline, &out->deadline_ms))
        return ERR_PROTO;
    return read_inputs(out, bus_node_get(root, "Inputs"));
}

int bus_wire_request_decode(struct bus_wire_request *out, const void *data, size_t len)
{
    struct bus_tree *tree = NULL;
    int rc = bus_tree_new(&tree, data, len, NULL);

    if (rc != ERR_OK)
        return rc;
    memset(out, 0, sizeof(*out));
    /* Text was copied and inputs point into DATA, so the tree may go. */
    rc = read_request(out, bus_tree_root(tree));
    bus_tree_free(tree);
    return rc;
}

/* A text that may be nil; *TEXT is NULL then. */
static bool read_text_or_nil(const struct bus_node *node, const char **text, size_t *len)
{
    if (bus_node_is_nil(node))
        return true;
    return bus_node_text(node, text, len);
}

static int read_output(struct bus_wire_response *out, const struct bus_node *output)
{
    const struct bus_node *data = bus_node_get(output, "Data");
    const struct bus_node *error = bus_node_get(output, "Error");

    if (bus_node_is_nil(output))
        return ERR_OK;
    if (!bus_node_is_map(output))
        return ERR_PROTO;
    if (!bus_node_is_nil(data) && !bus_node_bytes(data, &out->data, &out->data_len))
        return ERR_PROTO;
    if (bus_node_is_nil(error))
        return ERR_OK;
    if (!bus_node_is_map(error) ||
        !read_text_or_nil(bus_node_get(error, "Message"), &out->error, &out->error_len))
        return ERR_PROTO;
    out->failed = out->error_len > 0; /* an empty message counts as no error (zbus CallError) */
    return ERR_OK;
}

int bus_wire_response_decode(struct bus_wire_response *out, const void *data, size_t len)
{
    struct bus_tree *tree = NULL;
    const struct bus_node *root;
    int rc = bus_tree_new(&tree, data, len, NULL);

    if (rc != ERR_OK)
        return rc;
    memset(out, 0, sizeof(*out));
    root = bus_tree_root(tree);
    if (!bus_node_is_map(root) || !read_name(out->id, root, "ID") ||
        !read_text_or_nil(bus_node_get(root, "Error"), &out->protocol, &out->protocol_len))
        rc = ERR_PROTO;
    else
        rc = read_output(out, bus_node_get(root, "Output"));
    if (out->protocol_len == 0)
        out->protocol = NULL; /* "" means none, as in v0.1 */
    bus_tree_free(tree);
    return rc;
}

void bus_wire_request_encode(struct bus_pack *pack, const struct bus_wire_request *request)
{
    bus_pack_map(pack, request->deadline_ms != 0 ? 6 : 5);
    bus_pack_text(pack, "ID");
    bus_pack_text(pack, request->id);
    bus_pack_text(pack, "Inputs");
    bus_pack_array(pack, request->input_count);
    for (size_t i = 0; i < request->input_count; i++)
        bus_pack_bytes(pack, request->inputs[i].data, request->inputs[i].len);
    bus_pack_text(pack, "Object");
    bus_pack_map(pack, 2);
    bus_pack_text(pack, "Name");
    bus_pack_text(pack, request->object);
    bus_pack_text(pack, "Version");
    bus_pack_text(pack, request->version);
    bus_pack_text(pack, "ReplyTo");
    bus_pack_text(pack, request->reply_to);
    bus_pack_text(pack, "Method");
    bus_pack_text(pack, request->method);
    if (request->deadline_ms != 0) {
        bus_pack_text(pack, "Deadline");
        bus_pack_uint(pack, request->deadline_ms);
    }
}

void bus_wire_response_encode(struct bus_pack *pack, const struct bus_wire_response *response)
{
    bus_pack_map(pack, 3);
    bus_pack_text(pack, "ID");
    bus_pack_text(pack, response->id);
    bus_pack_text(pack, "Output");
    bus_pack_map(pack, 2);
    bus_pack_text(pack, "Data");
    if (response->data != NULL)
        bus_pack_bytes(pack, response->data, response->data_len);
    else
        bus_pack_nil(pack);
    bus_pack_text(pack, "Error");
    if (response->failed) {
        bus_pack_map(pack, 1);
        bus_pack_text(pack, "Message");
        bus_pack_text_len(pack, response->error, response->error_len);
    } else {
        bus_pack_nil(pack);
    }
    bus_pack_text(pack, "Error");
    if (response->protocol != NULL)
        bus_pack_text_len(pack, response->protocol, response->protocol_len);
    else
        bus_pack_nil(pack);
}
