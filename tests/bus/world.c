/* SPDX-License-Identifier: Apache-2.0 */
/* One redis-server and one link per test; replies as text. */
#include "tests/bus/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"

#define ARGS_MAX 32

struct answer {
    bool there;
    char text[4096];
};

static struct answer answer;

static void print(char *out, size_t cap, const struct bus_value *value)
{
    size_t n = 0;

    switch (value->type) {
    case BUS_NIL:
        snprintf(out, cap, "(nil)");
        return;
    case BUS_INTEGER:
        snprintf(out, cap, "%lld", (long long)value->number);
        return;
    case BUS_ERROR:
        snprintf(out, cap, "-%s", value->text);
        return;
    case BUS_ARRAY:
        out[0] = '\0';
        for (size_t i = 0; i < value->count && n + 1 < cap; i++) {
            if (i > 0)
                out[n++] = ' ';
            print(out + n, cap - n, &value->items[i]);
            n += strlen(out + n);
        }
        return;
    default:
        snprintf(out, cap, "%s", value->text);
    }
}

static void on_reply(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    answer.there = true;
    if (reply != NULL)
        print(answer.text, sizeof(answer.text), reply);
    else
        snprintf(answer.text, sizeof(answer.text), "!%s", err_text(rc));
}

void world_open(struct world *self, const char *const *extra)
{
    char why[BUS_WHY_MAX];

    memset(self, 0, sizeof(*self));
    self->loop = ev_loop_new(EVFLAG_AUTO);
    self->redis = redis_server_start(extra);
    ck_assert_int_eq(bus_url_parse(&self->url, redis_server_url(self->redis), why), ERR_OK);
    struct bus_link_config cfg = {.loop = self->loop, .url = &self->url, .name = "test"};
    ck_assert_int_eq(bus_link_new(&self->link, &cfg), ERR_OK);
}

void world_close(struct world *self)
{
    bus_link_free(self->link);
    redis_server_stop(self->redis);
    ev_loop_destroy(self->loop);
}

const char *world_do(struct world *self, ...)
{
    struct bus_arg args[ARGS_MAX];
    const char *text;
    size_t n = 0;
    va_list ap;

    va_start(ap, self);
    while ((text = va_arg(ap, const char *)) != NULL && n < ARGS_MAX)
        args[n++] = bus_text(text);
    va_end(ap);
    LOOP_UNTIL(self->loop, bus_link_is_up(self->link));
    answer.there = false;
    ck_assert_int_eq(
        bus_link_send(self->link,
                      &(struct bus_query){.args = args, .count = n, .on_reply = on_reply}),
        ERR_OK);
    LOOP_UNTIL(self->loop, answer.there);
    return answer.text;
}

unsigned world_tries(struct world *self, const char *command)
{
    const char *info = world_do(self, "INFO", "commandstats", NULL);
    char name[64];
    unsigned calls = 0, rejected = 0;

    snprintf(name, sizeof(name), "cmdstat_%s:", command);
    info = strstr(info, name);
    if (info != NULL)
        sscanf(info + strlen(name), "calls=%u", &calls);
    info = info != NULL ? strstr(info, "rejected_calls=") : NULL;
    if (info != NULL)
        sscanf(info, "rejected_calls=%u", &rejected);
    return calls + rejected;
}
