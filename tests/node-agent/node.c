/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and stops a whole node, and talks to it as its users do. */
#include "tests/node-agent/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/command.h"
#include "bus/sync.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/temp_dir.h"

#define LIMIT_MS 25000
#define LOOK_MS 20

struct node {
    char *dir;
    char *config;
    char *mode;
    char url_text[256];
    struct bus_url url;
    struct bus_sync *bus;
    pid_t pid;
    int alive;       /* locks the mode file as long as the test lives: the module ends without it */
    char text[4096]; /* of the last call that lends one */
};

static const char *binary(const char *name)
{
    static char path[1024];
    const char *dir = getenv("NW_BINARY_DIR");

    snprintf(path, sizeof(path), "%s/%s", dir != NULL ? dir : "build", name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_config(struct node *self, const char *url)
{
    char text[4096], authority[65];
    uint8_t seed[32];

    fixture_authority(seed, 0);
    fixture_public(authority, seed);
    snprintf(text, sizeof(text),
             "[node]\nname = gw1\nstate-dir = %s/state\n[bus]\nurl = %s\nsocket = %s/s\n"
             "[trust]\nauthority = %s\n[module gateway]\nexec = %s\nconfig = %s\n",
             self->dir, url != NULL ? url : "embedded", self->dir, authority,
             binary("tests/fake_module"), self->mode);
    write_file(self->config, text);
}

struct node *node_new(const char *url)
{
    struct node *self = calloc(1, sizeof(*self));
    char why[BUS_WHY_MAX];

    self->dir = temp_dir_new();
    self->config = temp_dir_path(self->dir, "agent.conf");
    self->mode = temp_dir_path(self->dir, "mode");
    if (url != NULL)
        snprintf(self->url_text, sizeof(self->url_text), "%s", url);
    else
        snprintf(self->url_text, sizeof(self->url_text), "unix://%s/s", self->dir);
    ck_assert_int_eq(bus_url_parse(&self->url, self->url_text, why), ERR_OK);
    node_mode(self, "ok");
    self->alive = open(self->mode, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(self->alive, 0);
    ck_assert_int_eq(flock(self->alive, LOCK_EX), 0);
    write_config(self, url);
    return self;
}

void node_mode(struct node *self, const char *mode)
{
    write_file(self->mode, mode);
}

const char *node_dir(const struct node *self)
{
    return self->dir;
}

const char *node_url(const struct node *self)
{
    return self->url_text;
}

const char *node_config(const struct node *self)
{
    return self->config;
}

pid_t node_pid(const struct node *self)
{
    return self->pid;
}

/* --- life --- */

void node_begin(struct node *self)
{
    pid_t test = getpid();

    self->pid = fork();
    ck_assert_int_ge(self->pid, 0);
    if (self->pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM); /* a failed test leaves nothing */
    if (getppid() != test)
        _exit(125); /* it died before we asked */
    if (getenv("NW_TEST_LOG") == NULL && freopen("/dev/null", "w", stderr) == NULL)
        _exit(125);
    execl(binary("bin/netwall-agent"), "netwall-agent", "--config", self->config, "--log-level",
          "debug", (char *)NULL);
    _exit(126);
}

static bool answers(struct node *self)
{
    struct bus_ask ask = {.url = &self->url, .prefix = "", .id = "x", .timeout_ms = 500};
    char id[33], payload[128], why[BUS_WHY_MAX], *out = NULL;
    size_t len;
    int rc;

    bus_id_random(id);
    snprintf(payload, sizeof(payload), "{\"id\":\"%s\",\"command\":\"core.ping\"}", id);
    ask.id = id;
    ask.payload = payload;
    ask.len = strlen(payload);
    rc = bus_ask(&out, &len, &ask, why);
    free(out);
    return rc == ERR_OK;
}

void node_start(struct node *self)
{
    node_begin(self);
    node_until(answers, self, "the agent answers");
}

int node_wait(struct node *self)
{
    int status = 0;

    ck_assert_int_eq(waitpid(self->pid, &status, 0), self->pid);
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void node_kill(struct node *self)
{
    kill(self->pid, SIGKILL);
    (void)node_wait(self);
}

int node_stop(struct node *self)
{
    kill(self->pid, SIGTERM);
    return node_wait(self);
}

/* A killed agent leaves its module: end that one by the pid in its lock file. */
static void end_module(struct node *self)
{
    char path[512];
    FILE *file;
    long pid = 0;

    snprintf(path, sizeof(path), "%s/state/module-gateway.lock", self->dir);
    file = fopen(path, "r");
    if (file == NULL)
        return;
    if (fscanf(file, "%ld", &pid) == 1 && pid > 1)
        kill((pid_t)pid, SIGKILL);
    fclose(file);
}

void node_free(struct node *self)
{
    bus_sync_close(self->bus);
    if (self->pid > 0)
        (void)node_stop(self);
    else
        end_module(self);
    close(self->alive);
    free(self->config);
    free(self->mode);
    temp_dir_free(self->dir);
    free(self);
}

/* --- asking --- */

static json_t *ask(struct node *self, const char *command, json_t *arguments, bool to_operator)
{
    char id[33], why[BUS_WHY_MAX], *payload, *out = NULL;
    struct bus_ask question = {.url = &self->url, .prefix = "", .timeout_ms = LIMIT_MS};
    size_t len = 0;
    json_t *envelope, *result;
    int rc;

    bus_id_random(id);
    envelope = json_pack("{s:s, s:s, s:o}", "id", id, "command", command, "arguments",
                         arguments != NULL ? arguments : json_object());
    payload = json_dumps(envelope, JSON_COMPACT);
    question.to_operator = to_operator;
    question.id = id;
    question.payload = payload;
    question.len = strlen(payload);
    rc = bus_ask(&out, &len, &question, why);
    ck_assert_msg(rc == ERR_OK, "%s: %s", command, why);
    result = json_loadb(out, len, 0, NULL);
    ck_assert_ptr_nonnull(result);
    ck_assert_str_eq(json_string_value(json_object_get(result, "id")), id);
    ck_assert_str_eq(json_string_value(json_object_get(result, "command")), command);
    free(out);
    free(payload);
    json_decref(envelope);
    return result;
}

json_t *node_ask(struct node *self, const char *command, json_t *arguments)
{
    return ask(self, command, arguments, false);
}

json_t *node_ask_operator(struct node *self, const char *command, json_t *arguments)
{
    return ask(self, command, arguments, true);
}

static json_t *data_of(const json_t *result)
{
    const char *text = json_string_value(json_object_get(result, "data"));

    return json_loads(text, JSON_DECODE_ANY, NULL);
}

json_t *node_data(struct node *self, const char *command, json_t *arguments)
{
    json_t *result = node_ask(self, command, arguments), *data;

    ck_assert_msg(strcmp(json_string_value(json_object_get(result, "state")), "SUCCESS") == 0,
                  "%s: %s", command, json_string_value(json_object_get(result, "data")));
    data = data_of(result);
    ck_assert_ptr_nonnull(data);
    json_decref(result);
    return data;
}

const char *node_refusal(struct node *self, const char *command, json_t *arguments)
{
    json_t *result = node_ask(self, command, arguments), *data = data_of(result);
    const char *code = json_string_value(json_object_get(data, "code"));

    if (strcmp(json_string_value(json_object_get(result, "state")), "SUCCESS") == 0)
        code = "";
    else
        ck_assert_int_gt(json_integer_value(json_object_get(result, "code")), 399);
    snprintf(self->text, sizeof(self->text), "%s", code);
    json_decref(data);
    json_decref(result);
    return self->text;
}

static json_t *module_of(struct node *self)
{
    json_t *result = node_ask_operator(self, "netwall.module.list", NULL), *list = data_of(result);
    json_t *module = json_incref(json_array_get(list, 0));

    json_decref(list);
    json_decref(result);
    return module;
}

const char *node_module_state(struct node *self)
{
    json_t *module = module_of(self);
    const char *state = json_string_value(json_object_get(module, "state"));

    snprintf(self->text, sizeof(self->text), "%s", state != NULL ? state : "");
    json_decref(module);
    return self->text;
}

pid_t node_module_pid(struct node *self)
{
    json_t *module = module_of(self);
    pid_t pid = (pid_t)json_integer_value(json_object_get(module, "pid"));

    json_decref(module);
    return pid;
}

int node_module_restarts(struct node *self)
{
    json_t *module = module_of(self);
    int restarts = (int)json_integer_value(json_object_get(module, "restarts"));

    json_decref(module);
    return restarts;
}

/* --- the bus as it is --- */

const char *node_redis(struct node *self, ...)
{
    struct bus_arg args[16];
    const struct bus_value *reply = NULL;
    char why[BUS_WHY_MAX];
    size_t count = 0;
    const char *word;
    va_list list;

    va_start(list, self);
    while (count < 16 && (word = va_arg(list, const char *)) != NULL)
        args[count++] = bus_text(word);
    va_end(list);
    self->text[0] = '\0';
    if (self->bus == NULL && bus_sync_open(&self->bus, &self->url, 1000, why) != ERR_OK)
        return self->text;
    if (bus_sync_query(self->bus, args, count, 0, &reply) != ERR_OK)
        return self->text;
    if (reply->text != NULL)
        snprintf(self->text, sizeof(self->text), "%s", reply->text);
    else if (reply->type == BUS_INTEGER)
        snprintf(self->text, sizeof(self->text), "%lld", (long long)reply->number);
    return self->text;
}

const char *node_published(struct node *self, const char *id)
{
    json_t *json = json_loads(node_redis(self, "HGET", BUS_KEY_WORKLOADS, id, NULL), 0, NULL);
    const char *state = json_string_value(json_object_get(json, "state"));

    snprintf(self->text, sizeof(self->text), "%s", state != NULL ? state : "");
    json_decref(json);
    return self->text;
}

void node_await(struct node *self, const char *id, const char *state)
{
    uint64_t end = clock_mono_ms() + LIMIT_MS;

    while (strcmp(node_published(self, id), state) != 0) {
        ck_assert_msg(clock_mono_ms() < end, "%s is \"%s\", not %s", id, self->text, state);
        (void)poll(NULL, 0, LOOK_MS);
    }
}

void node_until(bool (*condition)(struct node *self), struct node *self, const char *what)
{
    uint64_t end = clock_mono_ms() + LIMIT_MS;

    while (!condition(self)) {
        ck_assert_msg(clock_mono_ms() < end, "waited in vain until %s", what);
        (void)poll(NULL, 0, LOOK_MS);
    }
}
