/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key files: one line "x25519 <64 hex>" or "ed25519 <64 hex seed>", mode 0600 or 0400. Reads and
 * writes the file and its text; knows nothing of what the bytes mean.
 */
#ifndef BUS_BASE_KEYFILE_H
#define BUS_BASE_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYFILE_LEN 32
#define KEYFILE_WHY_MAX 256

enum keyfile_type { KEYFILE_X25519, KEYFILE_ED25519 };

/*
 * Read the key of TYPE from PATH. Refuses: other type (the text names both), other-readable,
 * group-readable unless ALLOW_GROUP, not a regular file, truncated, trailing bytes, all-zero.
 * Returns 0, ERR_SYS, ERR_NOENT or ERR_INVALID; on error OUT is all zeros and WHY tells the reason
 * and the next step (it never holds key bytes).
 */
int keyfile_read(uint8_t out[KEYFILE_LEN], enum keyfile_type type, const char *path,
                 bool allow_group, char why[KEYFILE_WHY_MAX]);
/* The same rules for the line itself (environment variable); one trailing newline is fine. */
int keyfile_parse(uint8_t out[KEYFILE_LEN], enum keyfile_type type, const char *line, size_t len,
                  char why[KEYFILE_WHY_MAX]);
/*
 * Create PATH with mode 0600 durably: temporary file in the same folder, fsync, link (never
 * replaces), fsync of the folder. Returns 0, ERR_EXISTS, or ERR_SYS.
 */
int keyfile_write(const char *path, enum keyfile_type type, const uint8_t key[KEYFILE_LEN]);
/* The type of the key in PATH, by its first word. Returns 0 or an error as keyfile_read. */
int keyfile_type_of(enum keyfile_type *out, const char *path, char why[KEYFILE_WHY_MAX]);
const char *keyfile_type_name(enum keyfile_type type);

#endif
