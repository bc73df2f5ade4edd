/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI reader. The text is copied once and cut into strings in place; sections and pairs are arrays
 * that point into it.
 */
#include "bus/base/ini.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/quantity.h"

struct pair {
    const char *key;
    const char *value; /* trimmed */
    size_t section;
    int line;
    bool known;
};

struct section {
    struct ini_section pub;
    bool known;
};

/* What ini_get_list handed out. */
struct list {
    struct list *next;
    char *text;         /* owned: all items, cut by NULs */
    const char **items; /* owned */
};

struct ini {
    char *file;
    char *text;
    struct section *sections;
    size_t section_count;
    struct pair *pairs;
    size_t pair_count;
    struct list *lists;
    char first_error[INI_WHY_MAX]; /* of the getters; "" = none */
};

struct parser {
    struct ini *ini;
    size_t section_cap;
    size_t pair_cap;
    int line;
    char *why; /* INI_WHY_MAX bytes */
};

static void __attribute__((format(printf, 4, 0)))
message(char why[INI_WHY_MAX], const char *file, int line, const char *fmt, va_list ap)
{
    int n = snprintf(why, INI_WHY_MAX, "%.200s:%d: ", file, line);

    vsnprintf(why + n, INI_WHY_MAX - (size_t)n, fmt, ap);
}

/* Say what is wrong with the line, and return ERR_INVALID. */
static int __attribute__((format(printf, 2, 3)))
bad_line(const struct parser *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(p->why, p->ini->file, p->line, fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cut blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t len;

    while (is_blank(*text))
        text++;
    len = strlen(text);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

/* Keys and section kinds: [a-z0-9-]+ */
static bool is_word(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len > 0 && text[len] == '\0';
}

/* ARRAY with place for one element more; NULL when there is no memory (ARRAY is then as before). */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    void *bigger;

    if (count < *cap)
        return array;
    bigger = reallocarray(array, *cap * 2 + 8, size);
    if (bigger != NULL)
        *cap = *cap * 2 + 8;
    return bigger;
}

static int add_section(struct parser *p, const char *kind, const char *name)
{
    struct ini *ini = p->ini;
    struct section *grown =
        grow(ini->sections, ini->section_count, &p->section_cap, sizeof(*ini->sections));

    if (grown == NULL)
        return ERR_NOMEM;
    ini->sections = grown;
    ini->sections[ini->section_count++] =
        (struct section){.pub = {.kind = kind, .name = name, .line = p->line}};
    return ERR_OK;
}

static int add_pair(struct parser *p, const char *key, const char *value)
{
    struct ini *ini = p->ini;
    struct pair *grown = grow(ini->pairs, ini->pair_count, &p->pair_cap, sizeof(*ini->pairs));

    if (grown == NULL)
        return ERR_NOMEM;
    ini->pairs = grown;
    ini->pairs[ini->pair_count++] = (struct pair){
        .key = key, .value = value, .section = ini->section_count - 1, .line = p->line};
    return ERR_OK;
}

/* "[kind]" or "[kind name]", trimmed. */
static int take_section(struct parser *p, char *text)
{
    size_t len = strlen(text), kind_len;
    char *kind, *name;

    if (text[len - 1] != ']')
        return bad_line(p, "a section must end with ']'");
    text[len - 1] = '\0';
    kind = trim(text + 1);
    kind_len = strcspn(kind, " \t");
    name = kind + kind_len;
    if (*name != '\0') {
        *name = '\0';
        name = trim(name + 1);
    }
    if (!is_word(kind))
        return bad_line(p, "the kind of a section is made of a-z, 0-9 and '-'");
    if (strpbrk(name, " \t[]") != NULL)
        return bad_line(p, "the name of a section has no blanks or brackets");
    return add_section(p, kind, name);
}

static int take_pair(struct parser *p, char *text)
{
    char *equals = strchr(text, '=');
    char *key;

    if (equals == NULL)
        return bad_line(p, "is neither '[section]', 'key = value' nor a comment (# or ;)");
    *equals = '\0';
    key = trim(text);
    if (!is_word(key))
        return bad_line(p, "a key is made of a-z, 0-9 and '-'");
    if (p->ini->section_count == 0)
        return bad_line(p, "%.64s: stands before the first section", key);
    return add_pair(p, key, trim(equals + 1));
}

/* One line of LEN bytes; text[len] may be overwritten. */
static int take_line(struct parser *p, char *text, size_t len)
{
    p->line++;
    if (len > INI_LINE_MAX)
        return bad_line(p, "is longer than %d bytes", INI_LINE_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < ' ' && !is_blank(text[i])) || c == 0x7f)
            return bad_line(p, "holds a control character (byte 0x%02x)", c);
    }
    text[len] = '\0';
    text = trim(text);
    if (*text == '\0' || *text == '#' || *text == ';')
        return ERR_OK;
    return *text == '[' ? take_section(p, text) : take_pair(p, text);
}

static int take_text(struct parser *p, char *text, size_t len)
{
    char *end = text + len;
    int rc = ERR_OK;

    while (rc == ERR_OK && text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *line_end = newline != NULL ? newline : end;

        rc = take_line(p, text, (size_t)(line_end - text));
        text = line_end + 1;
    }
    return rc;
}

int ini_parse(struct ini **out, const char *file, const char *text, size_t len,
              char why[INI_WHY_MAX])
{
    struct parser p = {.why = why};
    int rc = ERR_NOMEM;

    snprintf(why, INI_WHY_MAX, "%.200s: out of memory", file);
    p.ini = calloc(1, sizeof(*p.ini));
    if (p.ini == NULL)
        return ERR_NOMEM;
    p.ini->file = strdup(file);
    p.ini->text = malloc(len + 1);
    if (p.ini->file == NULL || p.ini->text == NULL)
        goto free_ini;
    if (len > 0)
        memcpy(p.ini->text, text, len);
    p.ini->text[len] = '\0';
    rc = take_text(&p, p.ini->text, len);
    if (rc != ERR_OK)
        goto free_ini;
    why[0] = '\0';
    *out = p.ini;
    return ERR_OK;

free_ini:
    ini_free(p.ini);
    return rc;
}

int ini_load(struct ini **out, const char *path, char why[INI_WHY_MAX])
{
    size_t len = 0;
    char *text = NULL;
    int rc = file_read(&text, &len, path, INI_FILE_MAX);

    if (rc == ERR_OK) {
        rc = ini_parse(out, path, text, len, why);
        explicit_bzero(text, len); /* may hold the password of the bus */
        free(text);
        return rc;
    }
    if (rc == ERR_LIMIT)
        snprintf(why, INI_WHY_MAX, "%.200s: is longer than %u bytes", path, INI_FILE_MAX);
    else /* ERR_NOENT leaves errno as open() set it */
        snprintf(why, INI_WHY_MAX, "%.200s: cannot be read: %s", path,
                 err_text(rc == ERR_NOENT ? ERR_SYS : rc));
    return rc == ERR_NOENT ? ERR_SYS : rc;
}

void ini_free(struct ini *self)
{
    if (self == NULL)
        return;
    while (self->lists != NULL) {
        struct list *list = self->lists;

        self->lists = list->next;
        free(list->text);
        free(list->items);
        free(list);
    }
    free(self->file);
    free(self->text);
    free(self->sections);
    free(self->pairs);
    free(self);
}

size_t ini_section_count(const struct ini *self)
{
    return self->section_count;
}

const struct ini_section *ini_section_at(const struct ini *self, size_t i)
{
    assert(i < self->section_count);
    return &self->sections[i].pub;
}

int ini_find(const struct ini *self, const char *kind)
{
    for (size_t i = 0; i < self->section_count; i++) {
        const struct ini_section *s = &self->sections[i].pub;

        if (s->name[0] == '\0' && strcmp(s->kind, kind) == 0)
            return (int)i;
    }
    return -1;
}

/* A and B count as one section: the same, or unnamed ones of one kind. */
static bool is_same_section(const struct ini *self, size_t a, size_t b)
{
    const struct ini_section *x = &self->sections[a].pub, *y = &self->sections[b].pub;

    return a == b || (x->name[0] == '\0' && y->name[0] == '\0' && strcmp(x->kind, y->kind) == 0);
}

void ini_known_section(struct ini *self, int section)
{
    for (size_t i = 0; section >= 0 && i < self->section_count; i++) {
        if (is_same_section(self, i, (size_t)section))
            self->sections[i].known = true;
    }
}

/* The next pair of KEY after AFTER (NULL: the first) in SECTION, marked as known; or NULL. */
static struct pair *next_pair(struct ini *self, int section, const char *key, struct pair *after)
{
    size_t at = after != NULL ? (size_t)(after - self->pairs) + 1 : 0;

    for (; section >= 0 && at < self->pair_count; at++) {
        struct pair *pair = &self->pairs[at];

        if (is_same_section(self, pair->section, (size_t)section) && strcmp(pair->key, key) == 0) {
            pair->known = true;
            return pair;
        }
    }
    return NULL;
}

/* The pair of KEY that counts, which is the last one; or NULL. */
static struct pair *last_pair(struct ini *self, int section, const char *key)
{
    struct pair *found = NULL, *next = NULL;

    ini_known_section(self, section);
    while ((next = next_pair(self, section, key, next)) != NULL)
        found = next;
    return found;
}

/* Note the first error: "file:line: key: why". */
static void __attribute__((format(printf, 3, 4)))
bad_value(struct ini *self, const struct pair *pair, const char *fmt, ...)
{
    char why[INI_WHY_MAX];
    va_list ap;

    if (self->first_error[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    snprintf(self->first_error, INI_WHY_MAX, "%.200s:%d: %.64s: %.200s", self->file, pair->line,
             pair->key, why);
}

void ini_get_text(struct ini *self, int section, const char *key, const char **out)
{
    struct pair *pair = last_pair(self, section, key);

    if (pair != NULL)
        *out = pair->value;
}

void ini_get_bool(struct ini *self, int section, const char *key, bool *out)
{
    struct pair *pair = last_pair(self, section, key);

    if (pair == NULL)
        return;
    if (strcmp(pair->value, "yes") == 0)
        *out = true;
    else if (strcmp(pair->value, "no") == 0)
        *out = false;
    else
        bad_value(self, pair, "\"%.40s\" is neither yes nor no", pair->value);
}

void ini_get_u64(struct ini *self, int section, const char *key, uint64_t min, uint64_t max,
                 uint64_t *out)
{
    struct pair *pair = last_pair(self, section, key);
    uint64_t v = 0;
    int rc;

    if (pair == NULL)
        return;
    rc = quantity_parse_u64(&v, pair->value);
    if (rc == ERR_INVALID)
        bad_value(self, pair, "\"%.40s\" is not a whole number", pair->value);
    else if (rc != ERR_OK || v < min || v > max)
        bad_value(self, pair, "\"%.40s\" is not between %llu and %llu", pair->value,
                  (unsigned long long)min, (unsigned long long)max);
    else
        *out = v;
}

void ini_get_ms(struct ini *self, int section, const char *key, uint64_t *out)
{
    struct pair *pair = last_pair(self, section, key);
    int rc = pair != NULL ? quantity_parse_ms(out, pair->value) : ERR_OK;

    if (rc == ERR_LIMIT)
        bad_value(self, pair, "\"%.40s\" is longer than ten years", pair->value);
    else if (rc != ERR_OK)
        bad_value(self, pair, "\"%.40s\" is not a duration (250ms 10s 5m 24h 7d)", pair->value);
}

void ini_get_size(struct ini *self, int section, const char *key, uint64_t *out)
{
    struct pair *pair = last_pair(self, section, key);
    int rc = pair != NULL ? quantity_parse_size(out, pair->value) : ERR_OK;

    if (rc == ERR_LIMIT)
        bad_value(self, pair, "\"%.40s\" is more than 1024GiB", pair->value);
    else if (rc != ERR_OK)
        bad_value(self, pair, "\"%.40s\" is not a size (bytes, 16KiB, 4MiB or 1GiB)", pair->value);
}

/* Bytes and items that all pairs of KEY can need at most; returns whether there is any pair. */
static bool measure_list(struct ini *self, int section, const char *key, size_t *bytes,
                         size_t *items)
{
    struct pair *pair = NULL;

    while ((pair = next_pair(self, section, key, pair)) != NULL) {
        *bytes += strlen(pair->value) + 1;
        *items += 1;
        for (const char *p = pair->value; *p != '\0'; p++)
            *items += *p == ',';
    }
    return *items > 0;
}

/* Cut TEXT (a copy of a value) at its commas; the items that are not empty go to ITEMS. */
static size_t cut_items(const char **items, char *text)
{
    size_t n = 0;

    for (char *part; (part = strsep(&text, ",")) != NULL;) {
        part = trim(part);
        if (*part != '\0')
            items[n++] = part;
    }
    return n;
}

static struct list *new_list(struct ini *self, size_t bytes, size_t items)
{
    struct list *list = calloc(1, sizeof(*list));

    if (list == NULL)
        return NULL;
    list->text = malloc(bytes);
    list->items = calloc(items, sizeof(*list->items));
    list->next = self->lists;
    self->lists = list; /* ini_free cleans up also when a part is missing */
    return list->text != NULL && list->items != NULL ? list : NULL;
}

bool ini_get_list(struct ini *self, int section, const char *key, const char *const **out,
                  size_t *count)
{
    struct pair *pair = last_pair(self, section, key); /* marks the section, even when empty */
    size_t bytes = 0, items = 0;
    struct list *list;
    char *at;

    *out = NULL;
    *count = 0;
    if (pair == NULL || !measure_list(self, section, key, &bytes, &items))
        return false;
    list = new_list(self, bytes, items);
    if (list == NULL) {
        bad_value(self, pair, "out of memory");
        return true;
    }
    at = list->text;
    for (pair = NULL; (pair = next_pair(self, section, key, pair)) != NULL;) {
        size_t len = strlen(pair->value);

        memcpy(at, pair->value, len + 1);
        *count += cut_items(list->items + *count, at);
        at += len + 1;
    }
    *out = list->items;
    return true;
}

void ini_fail(struct ini *self, int section, const char *key, const char *fmt, ...)
{
    struct pair *pair = key != NULL ? last_pair(self, section, key) : NULL;
    char why[INI_WHY_MAX];
    va_list ap;
    int line = 0;

    if (self->first_error[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (pair != NULL) {
        bad_value(self, pair, "%s", why);
        return;
    }
    if (section >= 0 && (size_t)section < self->section_count)
        line = self->sections[section].pub.line;
    snprintf(self->first_error, INI_WHY_MAX, "%.160s:%d: %.64s%s%.200s", self->file, line,
             key != NULL ? key : "", key != NULL ? ": " : "", why);
}

/* The first section nobody asked for, or NULL. */
static const struct section *unknown_section(const struct ini *self)
{
    for (size_t i = 0; i < self->section_count; i++) {
        if (!self->sections[i].known)
            return &self->sections[i];
    }
    return NULL;
}

/* The first pair nobody asked for in a section that is known, or NULL. */
static const struct pair *unknown_pair(const struct ini *self)
{
    for (size_t i = 0; i < self->pair_count; i++) {
        if (!self->pairs[i].known && self->sections[self->pairs[i].section].known)
            return &self->pairs[i];
    }
    return NULL;
}

int ini_finish(struct ini *self, char why[INI_WHY_MAX])
{
    const struct section *section = unknown_section(self);
    const struct pair *pair = unknown_pair(self);

    why[0] = '\0';
    if (self->first_error[0] != '\0')
        memcpy(why, self->first_error, INI_WHY_MAX);
    else if (pair != NULL && (section == NULL || pair->line < section->pub.line))
        snprintf(why, INI_WHY_MAX, "%.200s:%d: unknown key \"%.64s\" in [%.64s]", self->file,
                 pair->line, pair->key, self->sections[pair->section].pub.kind);
    else if (section != NULL)
        snprintf(why, INI_WHY_MAX, "%.200s:%d: unknown section [%.64s%s%.64s]", self->file,
                 section->pub.line, section->pub.kind, section->pub.name[0] != '\0' ? " " : "",
                 section->pub.name);
    return why[0] != '\0' ? ERR_INVALID : ERR_OK;
}
