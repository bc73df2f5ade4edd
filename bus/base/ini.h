/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI reader: "[section]" or "[kind name]", "key = value", comments (# or ;) on lines of their own,
 * lines up to 4 KiB (INTERFACE section 7). It keeps every pair with its line, and marks what was
 * asked for, so that unknown sections and keys can be refused with "file:line: what is wrong". Pure
 * parser plus a loader for files.
 */
#ifndef BUS_BASE_INI_H
#define BUS_BASE_INI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INI_LINE_MAX 4096
#define INI_FILE_MAX (4u << 20)
#define INI_WHY_MAX 512

struct ini; /* opaque: ini.c */

/* One section as it stands in the file; repeated sections are separate. */
struct ini_section {
    const char *kind; /* "gateway" */
    const char *name; /* "gw1", or "" */
    int line;
};

/*
 * Parse LEN bytes; FILE is the name used in messages. Returns 0 and an object that the caller
 * frees, ERR_INVALID (WHY = "file:line: ...") or ERR_NOMEM. Nothing of TEXT is kept.
 */
int ini_parse(struct ini **out, const char *file, const char *text, size_t len,
              char why[INI_WHY_MAX]);
/* Read and parse a file; ERR_SYS with WHY when it can't be read. */
int ini_load(struct ini **out, const char *path, char why[INI_WHY_MAX]);
void ini_free(struct ini *self); /* NULL is fine */

size_t ini_section_count(const struct ini *self);
const struct ini_section *ini_section_at(const struct ini *self, size_t i);
/*
 * Index of the unnamed section of KIND, or -1. Several of them are one section to the getters.
 */
int ini_find(const struct ini *self, const char *kind);

/*
 * Getters. SECTION is an index (a negative one finds nothing). Each marks the key as known and
 * leaves *OUT alone when the key is absent. On a bad value they note the first error ("file:line:
 * key: why") and leave *OUT alone; ini_finish reports it.
 */
/* Borrowed, lives as long as SELF; "" when nothing follows the "=". Of several the last counts. */
void ini_get_text(struct ini *self, int section, const char *key, const char **out);
/* yes or no */
void ini_get_bool(struct ini *self, int section, const char *key, bool *out);
/* Decimal, MIN..MAX. */
void ini_get_u64(struct ini *self, int section, const char *key, uint64_t min, uint64_t max,
                 uint64_t *out);
/* Duration 250ms 10s 5m 24h 7d (or a bare 0), as quantity.h reads it. */
void ini_get_ms(struct ini *self, int section, const char *key, uint64_t *out);
/* Size 16KiB 4MiB 1GiB or plain bytes, as quantity.h reads it. */
void ini_get_size(struct ini *self, int section, const char *key, uint64_t *out);
/*
 * List: repeated keys and comma-separated items, trimmed, empty ones dropped, in order. *OUT is an
 * array of *COUNT borrowed strings that lives as long as SELF; COUNT 0 when the key is absent or
 * empty. Returns whether the key was there.
 */
bool ini_get_list(struct ini *self, int section, const char *key, const char *const **out,
                  size_t *count);
/*
 * Note an error of the caller's own about KEY of SECTION (key NULL: about the section's line). The
 * first error stays.
 */
void ini_fail(struct ini *self, int section, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* This section is known, even when no key of it is asked for. A getter says so as well. */
void ini_known_section(struct ini *self, int section);
/* Returns 0, or ERR_INVALID with the first error noted, else the first unknown section or key. */
int ini_finish(struct ini *self, char why[INI_WHY_MAX]);

#endif
