/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical text of a JSON value (RFC 8785 section 3.2). Reading is load.c. */
#include "schemas/canonical.h"

#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define TEXT_FIRST_CAP 512

/* Text that grows. */
struct text {
    char *at;
    size_t len;
    size_t cap;
    bool bad; /* no memory, or no canonical form; sticky */
};

static void put(struct text *t, const char *bytes, size_t n)
{
    if (t->bad)
        return;
    if (t->len + n + 1 > t->cap) {
        size_t cap = t->cap == 0 ? TEXT_FIRST_CAP : t->cap;
        char *at;

        while (cap < t->len + n + 1)
            cap *= 2;
        at = realloc(t->at, cap);
        if (at == NULL) {
            t->bad = true;
            return;
        }
        t->at = at;
        t->cap = cap;
    }
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

static void put_escaped(struct text *t, unsigned char c)
{
    static const char two[UCHAR_MAX + 1] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\t'] = 't',
        ['\n'] = 'n', ['\f'] = 'f',  ['\r'] = 'r',
    };
    char out[8];
    int n;

    if (two[c] != 0)
        n = snprintf(out, sizeof(out), "\\%c", two[c]);
    else
        n = snprintf(out, sizeof(out), "\\u%04x", c);
    put(t, out, (size_t)n);
}

static void put_string(struct text *t, const char *s, size_t len)
{
    size_t from = 0;

    put(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        if (c == 0)
            t->bad = true; /* U+0000: some readers would stop there */
        put(t, s + from, i - from);
        put_escaped(t, c);
        from = i + 1;
    }
    put(t, s + from, len - from);
    put(t, "\"", 1);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_ascii(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s >= 0x80)
            return false;
    }
    return true;
}

static void put_value(struct text *t, const json_t *json);

/* RFC 8785 orders keys by UTF-16 units, which for ASCII keys is the order of their bytes. */
static void put_object(struct text *t, const json_t *object)
{
    size_t count = json_object_size(object), n = 0;
    const char **keys = calloc(count + 1, sizeof(*keys));
    const char *key;
    json_t *value;

    if (keys == NULL) {
        t->bad = true;
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        keys[n++] = key;
        t->bad = t->bad || !is_ascii(key);
    }
    qsort(keys, n, sizeof(*keys), by_bytes);
    put(t, "{", 1);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            put(t, ",", 1);
        put_string(t, keys[i], strlen(keys[i]));
        put(t, ":", 1);
        put_value(t, json_object_get(object, keys[i]));
    }
    put(t, "}", 1);
    free(keys);
}

static void put_array(struct text *t, const json_t *array)
{
    put(t, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            put(t, ",", 1);
        put_value(t, json_array_get(array, i));
    }
    put(t, "]", 1);
}

static void put_integer(struct text *t, json_int_t v)
{
    char out[24];

    if (v > SCH_INT_MAX || v < -SCH_INT_MAX)
        t->bad = true;
    put(t, out, (size_t)snprintf(out, sizeof(out), "%" JSON_INTEGER_FORMAT, v));
}

static void put_value(struct text *t, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        put_object(t, json);
        break;
    case JSON_ARRAY:
        put_array(t, json);
        break;
    case JSON_STRING:
        put_string(t, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        put_integer(t, json_integer_value(json));
        break;
    case JSON_REAL:
        t->bad = true;
        break;
    case JSON_TRUE:
        put(t, "true", 4);
        break;
    case JSON_FALSE:
        put(t, "false", 5);
        break;
    case JSON_NULL:
        put(t, "null", 4);
        break;
    }
}

char *sch_canonical(const json_t *json, size_t *len)
{
    struct text t = {0};

    put_value(&t, json);
    if (t.bad) {
        free(t.at);
        return NULL;
    }
    if (len != NULL)
        *len = t.len;
    return t.at;
}

int sch_canonical_hash(uint8_t out[SCH_HASH_LEN], const json_t *json)
{
    size_t len;
    char *text = sch_canonical(json, &len);

    if (text == NULL)
        return ERR_NOMEM;
    crypto_generichash(out, SCH_HASH_LEN, (const uint8_t *)text, len, NULL, 0);
    free(text);
    return ERR_OK;
}
