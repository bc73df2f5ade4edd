/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the test server and what the client was told last. */
#include "tests/bus/zbus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/node.h"
#include "tests/support/suite.h"

struct zbus z;

/* SetNamedProxy(id, {Name}) -> fqdn; refuses the name "taken". */
static void set_named_proxy(void *arg, struct bus_job *job)
{
    const struct bus_node *proxy = bus_job_input(job, 1);
    struct bus_pack *result = NULL;
    char id[64], name[64];

    (void)arg;
    if (!bus_node_copy(bus_job_input(job, 0), id, sizeof(id))) {
        bus_job_bad_input(job, 0, "string");
        return;
    }
    if (!bus_node_copy(bus_node_get(proxy, "Name"), name, sizeof(name))) {
        bus_job_bad_input(job, 1, "zos.GatewayNameProxy");
        return;
    }
    ck_assert_int_eq(bus_pack_new(&result), ERR_OK);
    bus_pack_text(result, strcmp(name, "taken") == 0 ? "" : "web.gent01.dev.grid.tf");
    bus_job_answer(job, result,
                   strcmp(name, "taken") == 0 ? "domain already registered: web.x" : NULL);
    bus_pack_free(result);
}

static void delete_named_proxy(void *arg, struct bus_job *job)
{
    (void)arg;
    if (bus_node_copy(bus_job_input(job, 0), z.deleted, sizeof(z.deleted)))
        bus_job_answer(job, NULL, NULL);
    else
        bus_job_bad_input(job, 0, "string");
}

/* Count(first, more ...) -> "N arguments" */
static void count(void *arg, struct bus_job *job)
{
    struct bus_pack *result = NULL;
    char text[32];

    (void)arg;
    snprintf(text, sizeof(text), "%zu arguments", bus_job_inputs(job));
    ck_assert_int_eq(bus_pack_new(&result), ERR_OK);
    bus_pack_text(result, text);
    bus_job_answer(job, result, NULL);
    bus_pack_free(result);
}

/* Keeps the job for the test to answer. */
static void hold(void *arg, struct bus_job *job)
{
    (void)arg;
    ck_assert_int_lt(z.held_count, HELD_MAX);
    z.held[z.held_count++] = job;
}

static void free_server(void *arg, struct bus_job *job)
{
    (void)arg;
    bus_server_free(z.server);
    z.server = NULL;
    ck_assert(bus_job_is_late(job));
    bus_job_answer(job, NULL, NULL);
    z.held_count++;
}

static void huge(void *arg, struct bus_job *job)
{
    struct bus_pack *result = NULL;
    char *big = calloc(1, BUS_PACK_MAX);

    (void)arg;
    ck_assert_int_eq(bus_pack_new(&result), ERR_OK);
    bus_pack_bytes(result, big, BUS_PACK_MAX);
    bus_job_answer(job, result, NULL);
    bus_pack_free(result);
    free(big);
}

static const struct bus_method methods[] = {
    {.name = "SetNamedProxy", .inputs = 2, .run = set_named_proxy},
    {.name = "DeleteNamedProxy", .inputs = 1, .run = delete_named_proxy},
    {.name = "Count", .inputs = 1, .run = count, .variadic = true},
    {.name = "Hold", .inputs = 0, .run = hold},
    {.name = "FreeServer", .inputs = 0, .run = free_server},
    {.name = "Huge", .inputs = 0, .run = huge},
};

static const struct bus_object objects[] = {
    {"manager", "0.0.1", methods, COUNT(methods), NULL},
    {"second", "1.0", methods, COUNT(methods), NULL},
};

void zbus_open_server(unsigned workers, uint32_t limit_ms)
{
    struct bus_server_config cfg = {.loop = z.world.loop,
                                    .url = &z.world.url,
                                    .prefix = "p:",
                                    .module = "gateway",
                                    .objects = objects,
                                    .object_count = 2,
                                    .workers = workers,
                                    .job_limit_ms = limit_ms};

    ck_assert_int_eq(bus_server_new(&z.server, &cfg), ERR_OK);
}

void zbus_open_caller(unsigned lines)
{
    struct bus_caller_config cfg = {.loop = z.world.loop, .url = &z.world.url, .lines = lines};

    ck_assert_int_eq(bus_caller_new(&z.caller, &cfg), ERR_OK);
}

void zbus_on_answer(void *arg, const struct bus_answer *answer)
{
    struct bus_tree *tree = NULL;

    (void)arg;
    z.answers++;
    z.last_rc = answer->rc;
    z.last_protocol = answer->is_protocol;
    z.last_text[0] = '\0';
    ck_assert_ptr_nonnull(answer->error);
    strncpy(z.last_error, answer->error, sizeof(z.last_error) - 1);
    if (answer->data != NULL &&
        bus_tree_new(&tree, answer->data, answer->data_len, NULL) == ERR_OK) {
        z.last_nil = bus_node_is_nil(bus_tree_root(tree));
        (void)bus_node_copy(bus_tree_root(tree), z.last_text, sizeof(z.last_text));
        bus_tree_free(tree);
    }
    if (z.free_caller_in_answer) {
        bus_caller_free(z.caller);
        z.caller = NULL;
    }
}

struct bus_call *zbus_call(const char *method, uint32_t timeout_ms, size_t count, ...)
{
    struct bus_pack *inputs[2] = {NULL, NULL};
    const struct bus_pack *const_inputs[2];
    struct bus_call *handle = NULL;
    va_list ap;

    va_start(ap, count);
    for (size_t i = 0; i < count; i++) {
        const char *text = va_arg(ap, const char *);

        ck_assert_int_eq(bus_pack_new(&inputs[i]), ERR_OK);
        if (i == 1) {
            bus_pack_map(inputs[i], 1);
            bus_pack_text(inputs[i], "Name");
        }
        bus_pack_text(inputs[i], text);
        const_inputs[i] = inputs[i];
    }
    va_end(ap);
    struct bus_call_config cfg = {.module = "gateway",
                                  .object = "manager",
                                  .version = "0.0.1",
                                  .method = method,
                                  .inputs = const_inputs,
                                  .input_count = count,
                                  .timeout_ms = timeout_ms,
                                  .on_answer = zbus_on_answer};
    ck_assert_int_eq(bus_call_start(&handle, z.caller, &cfg), ERR_OK);
    for (size_t i = 0; i < count; i++)
        bus_pack_free(inputs[i]);
    return handle;
}

void zbus_set_up(void)
{
    z = (struct zbus){0};
    world_open(&z.world, NULL);
}

void zbus_tear_down(void)
{
    bus_caller_free(z.caller);
    z.caller = NULL;
    bus_server_free(z.server);
    z.server = NULL;
    world_close(&z.world);
}
