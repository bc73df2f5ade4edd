/* SPDX-License-Identifier: Apache-2.0 */
/* Visiting nodes and asking them. */
#include "node-agent/ctl/nodes.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/command.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/say.h"

#define DIAL_MS 5000u
#define DIAL_AGAIN_MS 200
#define GRACE_S 5u /* what a node may need on top of the time it was given */

static void set_error(struct ctl_node *node, const char *code, const char *message)
{
    json_decref(node->data);
    node->data = ctl_error(code, message, "");
    ctl_say_error(node->text, node->data);
}

enum ctl_exit ctl_bus_failed(struct ctl_node *node, int rc, const char *why)
{
    if (rc == ERR_REFUSED) {
        set_error(node, "refused", why);
        ctl_say("the bus does not let this user do that: see its ACL");
        return CTL_REFUSED;
    }
    if (rc == ERR_NOMEM) {
        set_error(node, "storage_error", "out of memory");
        return CTL_FAILED;
    }
    set_error(node, "unreachable", why);
    ctl_say("is netwall-agent running, and is this its bus? Name one with --bus URL or "
            "$NETWALL_BUS");
    return CTL_UNREACHABLE;
}

/* Connect, if need be again and again for PATIENCE_MS. */
static enum ctl_exit reach(struct bus_sync **out, struct ctl_node *node, uint64_t patience_ms)
{
    uint64_t until_ms = clock_mono_ms() + patience_ms;
    char why[BUS_WHY_MAX];
    int rc;

    while ((rc = bus_sync_open(out, &node->url, DIAL_MS, why)) != ERR_OK && rc != ERR_NOMEM &&
           clock_mono_ms() < until_ms)
        (void)poll(NULL, 0, DIAL_AGAIN_MS);

    /* No connection is no connection, whatever it was that the server answered. */
    return rc == ERR_OK ? CTL_OK : ctl_bus_failed(node, rc == ERR_NOMEM ? rc : ERR_EOF, why);
}

enum ctl_exit ctl_connect(struct bus_sync **out, struct ctl_node *node)
{
    return reach(out, node, 0);
}

char *ctl_payload(char id[33], const struct ctl_request *request)
{
    char *out = NULL;

    bus_id_random(id);
    if (asprintf(&out,
                 "{\"id\":\"%s\",\"command\":\"%s\",\"max_time\":%" PRIu32 ",\"arguments\":%s}", id,
                 request->command, request->wait_s,
                 request->arguments != NULL ? request->arguments : "{}") < 0)
        return NULL;
    return out;
}

/* Member KEY of RESULT as text, "" when it is none. */
static const char *text_of(const json_t *result, const char *key)
{
    const char *text = json_string_value(json_object_get(result, key));

    return text != NULL ? text : "";
}

/* The error object of a RESULT that is no success; made up when the node gave none. */
static json_t *error_of(const json_t *result)
{
    json_t *error = json_loads(text_of(result, "data"), 0, NULL);
    const char *critical = text_of(result, "critical");

    if (json_object_get(error, "code") != NULL)
        return error;
    json_decref(error);
    return ctl_error(text_of(result, "state"),
                     critical[0] != '\0' ? critical : "the node gave no reason", "");
}

static enum ctl_exit take_result(struct ctl_node *node, const char *text, size_t len)
{
    json_t *result = json_loadb(text, len, 0, NULL);
    const char *state = text_of(result, "state");
    enum ctl_exit code = CTL_OK;

    if (strcmp(state, "SUCCESS") == 0) {
        node->data = json_loads(text_of(result, "data"), JSON_DECODE_ANY, NULL);
        if (node->data == NULL)
            node->data = json_string(text_of(result, "data"));
    } else if (state[0] == '\0') {
        set_error(node, "malformed", "the answer of the node cannot be understood");
        code = CTL_REFUSED;
    } else {
        node->data = error_of(result);
        ctl_say_error(node->text, node->data);
        code = strcmp(state, "TIMEOUT") == 0 ? CTL_TIMEOUT : CTL_REFUSED;
    }
    json_decref(result);
    return code;
}

static enum ctl_exit ask(struct ctl_node *node, const struct ctl_request *request,
                         const struct bus_ask *what)
{
    char why[BUS_WHY_MAX], *result;
    size_t len;
    int rc = bus_ask(&result, &len, what, why);

    if (rc == ERR_TIMEOUT) {
        set_error(node, "timeout", why);
        ctl_say("%s may still be carried out later", request->command);
        return CTL_TIMEOUT;
    }
    if (rc != ERR_OK)
        return ctl_bus_failed(node, rc, why);
    json_decref(node->data);
    node->data = NULL;
    enum ctl_exit code = take_result(node, result, len);
    free(result);
    return code;
}

enum ctl_exit ctl_ask(struct ctl_node *node, const struct ctl_request *request)
{
    char id[33];
    struct bus_ask what = {.url = &node->url,
                           .prefix = node->ctl->prefix,
                           .to_operator = request->operator_list,
                           .id = id,
                           .timeout_ms = (request->wait_s + GRACE_S) * 1000};
    struct bus_sync *bus = NULL;
    enum ctl_exit code;
    char *payload;

    /* bus_ask cannot say whether a time-out was the bus or the agent, so the bus is tried first. */
    code = reach(&bus, node, request->patient ? (uint64_t)request->wait_s * 1000 : 0);
    bus_sync_close(bus);
    if (code != CTL_OK)
        return code;
    payload = ctl_payload(id, request);
    if (payload == NULL)
        return ctl_bus_failed(node, ERR_NOMEM, "");
    what.payload = payload;
    what.len = strlen(payload);
    code = ask(node, request, &what);
    free(payload);
    return code;
}

enum ctl_exit ctl_ask_visit(struct ctl_node *node, void *arg)
{
    return ctl_ask(node, arg);
}

/* Visit the bus URL; *DATA gets what the node said. */
static enum ctl_exit visit_one(struct ctl *ctl, const struct bus_url *url, ctl_visit_fn *visit,
                               void *arg, json_t **data)
{
    struct ctl_node node = {.ctl = ctl, .url = *url};
    char printed[BUS_WHY_MAX];
    enum ctl_exit code;

    bus_url_print(printed, &node.url);
    node.text = printed;
    code = visit(&node, arg);
    *data = node.data;
    return code;
}

static bool is_done(enum ctl_exit code)
{
    return code == CTL_OK || code == CTL_PENDING;
}

static void show_one(const struct ctl *ctl, size_t i, const json_t *data,
                     void (*show)(const json_t *data))
{
    char where[BUS_WHY_MAX];

    if (show == NULL || ctl->json)
        return;
    if (ctl->bus_count > 1) {
        bus_url_print(where, &ctl->urls[i]); /* without the password */
        printf("%s== %s\n", i > 0 ? "\n" : "", where);
    }
    show(data);
    (void)fflush(stdout);
}

/* With --json: one document, whatever the number of nodes. */
static enum ctl_exit print_all(const struct ctl *ctl, json_t *all)
{
    enum ctl_exit code = CTL_OK;

    if (ctl->json)
        code = ctl_print(ctl->bus_count == 1 ? json_array_get(all, 0) : all);
    json_decref(all);
    return code;
}

enum ctl_exit ctl_each(struct ctl *ctl, ctl_visit_fn *visit, void *arg,
                       void (*show)(const json_t *data))
{
    enum ctl_exit worst = CTL_OK;
    json_t *all = json_array();

    for (size_t i = 0; i < ctl->bus_count; i++) {
        json_t *data = NULL;
        enum ctl_exit code = visit_one(ctl, &ctl->urls[i], visit, arg, &data);

        if (data == NULL)
            data = json_object();
        if (is_done(code))
            show_one(ctl, i, data, show);
        worst = ctl_worse(worst, code);
        if (json_array_append_new(all, data) != 0)
            worst = CTL_FAILED;
    }
    return ctl_worse(worst, print_all(ctl, all));
}
