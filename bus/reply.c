/* SPDX-License-Identifier: Apache-2.0 */
/* hiredis' reader with constructors of ours: caps are checked before anything is allocated. */
#include "bus/reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/link.h"

/* Room beside a string of just the maximum: its length line, its line end, and one read. */
#define SLACK (128u << 10)

struct bus_parser {
    redisReader *reader;
    size_t items; /* of the reply being read */
    size_t bytes; /* text bytes of the reply being read */
    int rc;       /* why a constructor refused: ERR_LIMIT or ERR_NOMEM */
};

/* Room for one more value: a fresh root, or the place in the array it belongs to. */
static struct bus_value *place(const redisReadTask *task)
{
    struct bus_parser *self = task->privdata;
    struct bus_value *parent;

    if (task->parent != NULL) {
        parent = task->parent->obj;
        return &parent->items[task->idx];
    }
    self->items = 0;
    self->bytes = 0;
    parent = calloc(1, sizeof(*parent));
    if (parent == NULL)
        self->rc = ERR_NOMEM;
    return parent;
}

/* A constructor that fails must not leave its fresh root behind: the reader does not know it yet.
 */
static void *give_up(const redisReadTask *task, struct bus_value *value, int rc)
{
    struct bus_parser *self = task->privdata;

    self->rc = rc;
    if (task->parent == NULL)
        free(value);
    return NULL;
}

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
    struct bus_parser *self = task->privdata;
    struct bus_value *value = place(task);
    char *copy;

    if (value == NULL)
        return NULL;
    if (len > BUS_REPLY_MAX || self->bytes + len > BUS_REPLY_TOTAL_MAX)
        return give_up(task, value, ERR_LIMIT);
    copy = malloc(len + 1);
    if (copy == NULL)
        return give_up(task, value, ERR_NOMEM);
    self->bytes += len;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    value->type = task->type == REDIS_REPLY_ERROR    ? BUS_ERROR
                  : task->type == REDIS_REPLY_STATUS ? BUS_STATUS
                                                     : BUS_TEXT;
    value->text = copy;
    value->len = len;
    return value;
}

static void *make_array(const redisReadTask *task, int count)
{
    struct bus_parser *self = task->privdata;
    struct bus_value *value = place(task);

    if (value == NULL)
        return NULL;
    if (count < 0 || (size_t)count > BUS_REPLY_ITEMS_MAX - self->items)
        return give_up(task, value, ERR_LIMIT);
    self->items += (size_t)count;
    if (count > 0) {
        value->items = calloc((size_t)count, sizeof(*value->items));
        if (value->items == NULL)
            return give_up(task, value, ERR_NOMEM);
    }
    value->type = BUS_ARRAY;
    value->count = (size_t)count;
    return value;
}

static void *make_integer(const redisReadTask *task, long long number)
{
    struct bus_value *value = place(task);

    if (value != NULL) {
        value->type = BUS_INTEGER;
        value->number = number;
    }
    return value;
}

static void *make_nil(const redisReadTask *task)
{
    struct bus_value *value = place(task);

    if (value != NULL)
        value->type = BUS_NIL;
    return value;
}

/* Recursion is bounded: hiredis' reader nests 7 deep at most. */
static void wipe(struct bus_value *value)
{
    for (size_t i = 0; i < value->count; i++)
        wipe(&value->items[i]);
    free(value->items);
    free((char *)(uintptr_t)value->text); /* made by make_text; const for the readers only */
}

void bus_value_free(struct bus_value *value)
{
    if (value == NULL)
        return;
    wipe(value);
    free(value);
}

/* Copy SOURCE to the zeroed TO; what was made so far hangs in TO when it fails. */
static int copy_to(struct bus_value *to, const struct bus_value *source)
{
    int rc = ERR_OK;

    to->type = source->type;
    to->number = source->number;
    if (source->text != NULL) {
        char *text = malloc(source->len + 1);

        if (text == NULL)
            return ERR_NOMEM;
        memcpy(text, source->text, source->len + 1);
        to->text = text;
        to->len = source->len;
    }
    if (source->count > 0) {
        to->items = calloc(source->count, sizeof(*to->items));
        if (to->items == NULL)
            return ERR_NOMEM;
        to->count = source->count;
    }
    for (size_t i = 0; i < source->count && rc == ERR_OK; i++)
        rc = copy_to(&to->items[i], &source->items[i]);
    return rc;
}

struct bus_value *bus_value_copy(const struct bus_value *value)
{
    struct bus_value *copy = calloc(1, sizeof(*copy));

    if (copy == NULL || copy_to(copy, value) == ERR_OK)
        return copy;
    bus_value_free(copy);
    return NULL;
}

static void free_object(void *object)
{
    bus_value_free(object);
}

static const redisReplyObjectFunctions makers = {make_text, make_array, make_integer, make_nil,
                                                 free_object};

int bus_parser_new(struct bus_parser **out)
{
    struct bus_parser *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->reader =
        redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&makers); /* only read */
    if (self->reader == NULL) {
        free(self);
        return ERR_NOMEM;
    }
    self->reader->privdata = self;
    *out = self;
    return ERR_OK;
}

void bus_parser_free(struct bus_parser *self)
{
    if (self == NULL)
        return;
    redisReaderFree(self->reader);
    free(self);
}

int bus_parser_feed(struct bus_parser *self, const void *data, size_t len)
{
    const redisReader *reader = self->reader;

    if (reader->len - reader->pos + len > BUS_REPLY_MAX + SLACK)
        return ERR_LIMIT;
    return redisReaderFeed(self->reader, data, len) == REDIS_OK ? ERR_OK : ERR_NOMEM;
}

int bus_parser_next(struct bus_parser *self, struct bus_value **out)
{
    void *reply = NULL;

    if (redisReaderGetReply(self->reader, &reply) != REDIS_OK)
        return self->rc != ERR_OK ? self->rc : ERR_PROTO;
    if (reply == NULL)
        return ERR_AGAIN;
    *out = reply;
    return ERR_OK;
}

const char *bus_parser_why(const struct bus_parser *self)
{
    return self->reader->errstr;
}
