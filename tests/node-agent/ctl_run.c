/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/node-agent/ctl_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/sync.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define ARGS_MAX 40
#define OUTPUT_MAX (4u << 20)

/* --- the command --- */

/* DIR/NAME as file descriptor FD. */
static void redirect(const char *name, int fd, int flags)
{
    int file = open(name, flags, 0600);

    if (file < 0 || dup2(file, fd) != fd)
        _exit(127);
}

/* In the child: become netwall. */
static void become(const char *dir, const char *const *args)
{
    const char *top = getenv("NW_BINARY_DIR");
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/bin/netwall", top != NULL ? top : ".");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(dir) != 0)
        _exit(127);
    redirect(access("stdin", R_OK) == 0 ? "stdin" : "/dev/null", 0, O_RDONLY);
    redirect("stdout", 1, O_WRONLY | O_CREAT | O_TRUNC);
    redirect("stderr", 2, O_WRONLY | O_CREAT | O_TRUNC);
    execv(path, (char *const *)(uintptr_t)args);
    _exit(127);
}

static pid_t start(const char *dir, va_list ap)
{
    const char *args[ARGS_MAX] = {"netwall"};
    size_t n = 1;
    pid_t pid;

    while ((args[n] = va_arg(ap, const char *)) != NULL && n + 1 < ARGS_MAX)
        n++;
    ck_assert_ptr_null(args[n]);
    (void)fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        become(dir, args);
    return pid;
}

static char *output(const char *dir, const char *name)
{
    char *path = temp_dir_path(dir, name), *text = NULL;
    size_t len;

    ck_assert_int_eq(file_read(&text, &len, path, OUTPUT_MAX), ERR_OK);
    free(path);
    return text;
}

struct ctl_out ctl_wait(const char *dir, pid_t pid)
{
    struct ctl_out self = {.code = -1};
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        self.code = WEXITSTATUS(status);
    self.out = output(dir, "stdout");
    self.err = output(dir, "stderr");
    return self;
}

pid_t ctl_start(const char *dir, ...)
{
    va_list ap;
    pid_t pid;

    va_start(ap, dir);
    pid = start(dir, ap);
    va_end(ap);
    return pid;
}

struct ctl_out ctl_run(const char *dir, ...)
{
    va_list ap;
    pid_t pid;

    va_start(ap, dir);
    pid = start(dir, ap);
    va_end(ap);
    return ctl_wait(dir, pid);
}

struct ctl_out ctl_run_code(int code, const char *dir, ...)
{
    struct ctl_out self;
    va_list ap;
    pid_t pid;

    va_start(ap, dir);
    pid = start(dir, ap);
    va_end(ap);
    self = ctl_wait(dir, pid);
    ck_assert_msg(self.code == code, "exit code %d, wanted %d\n%s\n%s", self.code, code, self.out,
                  self.err);
    return self;
}

void ctl_out_free(struct ctl_out *self)
{
    free(self->out);
    free(self->err);
    *self = (struct ctl_out){0};
}

json_t *ctl_out_json(const struct ctl_out *self)
{
    json_t *json = json_loads(self->out, JSON_DECODE_ANY, NULL);

    ck_assert_msg(json != NULL, "no JSON: %s", self->out);
    return json;
}

static char *quoted(const char *text)
{
    char *copy = strdup(text);

    ck_assert_ptr_nonnull(copy);
    for (char *at = copy; *at != '\0'; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return copy;
}

void ctl_file(const char *dir, const char *name, const char *text)
{
    char *path = temp_dir_path(dir, name), *copy = quoted(text);

    ck_assert_int_eq(file_write(path, copy, strlen(copy)), ERR_OK);
    free(copy);
    free(path);
}

void ctl_key(const char *dir, const char *name, const char *type, char public_key[65])
{
    struct ctl_out run = ctl_run_code(0, dir, "keygen", "--type", type, "--out", name, NULL);

    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "pubkey", name, NULL);
    ck_assert_uint_eq(strlen(run.out), 65);
    memcpy(public_key, run.out, 64);
    public_key[64] = '\0';
    ctl_out_free(&run);
}

/* --- the node --- */

struct ctl_node_fake {
    struct redis_server *server;
    struct bus_sync *bus;
    pid_t responder;
};

/* Answer one command; LIST is where it came from. */
static void respond(struct bus_sync *bus, const char *list, const char *payload)
{
    json_t *json = json_loads(payload, 0, NULL), *asked;
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *command = json_string_value(json_object_get(json, "command"));
    const struct bus_value *answer = NULL;
    char key[256], *text;

    if (id == NULL || command == NULL)
        _exit(1);
    asked = json_pack("{s:s, s:O}", "list", list, "payload", json);
    text = json_dumps(asked, JSON_COMPACT);
    (void)bus_sync_text(bus, NULL, "RPUSH", "asked", text, NULL);
    (void)snprintf(key, sizeof(key), "result:%s:flag", id);
    (void)bus_sync_text(bus, NULL, "RPUSH", key, "", NULL);
    (void)snprintf(key, sizeof(key), "answer:%s", command);
    if (bus_sync_text(bus, &answer, "GET", key, NULL) == ERR_OK && answer->type == BUS_TEXT) {
        char *copy = strdup(answer->text);

        (void)snprintf(key, sizeof(key), "result:%s", id);
        (void)bus_sync_text(bus, NULL, "RPUSH", key, copy, NULL);
        free(copy);
    }
    free(text);
    json_decref(asked);
    json_decref(json);
}

/* The responder's life; the parent ends it. */
static void respond_for_ever(const char *url_text)
{
    const struct bus_value *popped;
    struct bus_sync *bus;
    struct bus_url url;
    char why[BUS_WHY_MAX];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bus_url_parse(&url, url_text, why) != ERR_OK || bus_sync_open(&bus, &url, 0, why) != ERR_OK)
        _exit(1);
    for (;;) {
        if (bus_sync_text(bus, &popped, "BLPOP", "core:default", "core:operator", "p:core:default",
                          "1", NULL) != ERR_OK ||
            popped->type != BUS_ARRAY)
            continue;
        char *list = strdup(popped->items[0].text), *payload = strdup(popped->items[1].text);

        respond(bus, list, payload);
        free(list);
        free(payload);
    }
}

struct ctl_node_fake *ctl_fake_new(void)
{
    struct ctl_node_fake *self = calloc(1, sizeof(*self));
    struct bus_url url;
    char why[BUS_WHY_MAX];

    ck_assert_ptr_nonnull(self);
    self->server = redis_server_start(NULL);
    ck_assert_int_eq(bus_url_parse(&url, redis_server_url(self->server), why), ERR_OK);
    ck_assert_int_eq(bus_sync_open(&self->bus, &url, 0, why), ERR_OK);
    (void)fflush(NULL);
    self->responder = fork();
    ck_assert_int_ge(self->responder, 0);
    if (self->responder == 0)
        respond_for_ever(redis_server_url(self->server));
    return self;
}

void ctl_fake_free(struct ctl_node_fake *self)
{
    (void)kill(self->responder, SIGKILL);
    (void)waitpid(self->responder, NULL, 0);
    bus_sync_close(self->bus);
    redis_server_stop(self->server);
    free(self);
}

const char *ctl_fake_url(const struct ctl_node_fake *self)
{
    return redis_server_url(self->server);
}

const char *ctl_fake_dir(const struct ctl_node_fake *self)
{
    return redis_server_dir(self->server);
}

struct redis_server *ctl_fake_server(const struct ctl_node_fake *self)
{
    return self->server;
}

void ctl_fake_answer_raw(struct ctl_node_fake *self, const char *command, const char *result)
{
    char key[256];

    (void)snprintf(key, sizeof(key), "answer:%s", command);
    ctl_fake_redis(self, "SET", key, result, NULL);
}

void ctl_fake_answer(struct ctl_node_fake *self, const char *command, const char *state,
                     const char *data)
{
    char *copy = quoted(data), *text;
    json_t *json =
        json_pack("{s:s, s:s, s:i, s:s}", "state", state, "data", copy, "code", 0, "critical", "");

    text = json_dumps(json, 0);
    ctl_fake_answer_raw(self, command, text);
    free(text);
    free(copy);
    json_decref(json);
}

json_t *ctl_fake_asked(struct ctl_node_fake *self)
{
    const struct bus_value *reply;
    json_t *json;

    ck_assert_int_eq(bus_sync_text(self->bus, &reply, "LPOP", "asked", NULL), ERR_OK);
    ck_assert_msg(reply->type == BUS_TEXT, "nothing was asked");
    json = json_loads(reply->text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

void ctl_fake_redis(struct ctl_node_fake *self, ...)
{
    struct bus_arg args[ARGS_MAX];
    const char *text;
    size_t n = 0;
    va_list ap;

    va_start(ap, self);
    while ((text = va_arg(ap, const char *)) != NULL && n < ARGS_MAX)
        args[n++] = bus_text(text);
    va_end(ap);
    for (int tries = 0; tries < 20; tries++) { /* the test may have restarted the server */
        if (bus_sync_query(self->bus, args, n, 0, NULL) == ERR_OK)
            return;
    }
    ck_abort_msg("%s: %s", (const char *)args[0].data, bus_sync_why(self->bus));
}
