/* SPDX-License-Identifier: Apache-2.0 */
/* Key files. Every copy of the text is wiped; no message holds a byte of it. */
#include "bus/base/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/hex.h"

#define WORD_LEN 7                                        /* "x25519" and "ed25519" plus ... */
#define LINE_MAX_LEN (WORD_LEN + 1 + 2 * KEYFILE_LEN + 1) /* longest line with its newline */

static const char *const names[] = {
    [KEYFILE_X25519] = "x25519",
    [KEYFILE_ED25519] = "ed25519",
};

const char *keyfile_type_name(enum keyfile_type type)
{
    return names[type];
}

/* Write the reason and return ERR_INVALID, so callers can `return fail(...)`. */
static int __attribute__((format(printf, 2, 3)))
fail(char why[KEYFILE_WHY_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, KEYFILE_WHY_MAX, fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

/* The type by the first word of LINE, and where the digits start. */
static int first_word(enum keyfile_type *type, size_t *digits_at, const char *line, size_t len)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n = strlen(names[i]);

        if (len > n && memcmp(line, names[i], n) == 0 && line[n] == ' ') {
            *type = (enum keyfile_type)i;
            *digits_at = n + 1;
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

static bool all_zero(const uint8_t key[KEYFILE_LEN])
{
    uint8_t any = 0;

    for (size_t i = 0; i < KEYFILE_LEN; i++)
        any |= key[i];
    return any == 0;
}

int keyfile_parse(uint8_t out[KEYFILE_LEN], enum keyfile_type type, const char *line, size_t len,
                  char why[KEYFILE_WHY_MAX])
{
    enum keyfile_type found;
    size_t at;

    memset(out, 0, KEYFILE_LEN);
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len == 0)
        return fail(why, "is empty; make a key with: netwall keygen --type %s", names[type]);
    if (first_word(&found, &at, line, len) != ERR_OK)
        return fail(why, "does not start with \"%s \"; is this a netwall key file?", names[type]);
    if (found != type)
        return fail(why,
                    "holds an %s key, but an %s key is needed here; make one with: netwall keygen "
                    "--type %s",
                    names[found], names[type], names[type]);
    if (len - at < 2 * KEYFILE_LEN)
        return fail(why, "is truncated: %zu of 64 digits; restore it from a backup", len - at);
    if (len - at > 2 * KEYFILE_LEN)
        return fail(why, "has bytes after the 64 digits; one line is all it may hold");
    if (hex_decode(out, KEYFILE_LEN, line + at, len - at) != ERR_OK)
        return fail(why, "has something else than lower-case hexadecimal digits in the key");
    if (all_zero(out))
        return fail(why, "holds the all-zero key, which protects nothing; make a new key");
    return ERR_OK;
}

/* WHY of a file: the path in front of what is wrong. */
static int fail_path(char why[KEYFILE_WHY_MAX], int rc, const char *path, const char *text)
{
    char copy[KEYFILE_WHY_MAX];

    snprintf(copy, sizeof(copy), "%s", text); /* TEXT may be WHY itself */
    snprintf(why, KEYFILE_WHY_MAX, "%.110s: %.140s", path, copy);
    return rc;
}

static int check_mode(const struct stat *st, bool allow_group, char why[KEYFILE_WHY_MAX])
{
    unsigned mode = st->st_mode & 07777u, allowed = allow_group ? 0640 : 0600;
    const char *who = "has an unusual mode";

    if (!S_ISREG(st->st_mode))
        return fail(why, "is not a regular file");
    if ((mode & ~allowed) == 0)
        return ERR_OK;
    if ((mode & 07) != 0)
        who = "is open to everybody on this machine";
    else if ((mode & 070 & ~allowed) != 0)
        who = "is open to its group";
    return fail(why, "%s (mode %04o); run: chmod 600 on it%s", who, mode,
                mode == 0640 ? ", or allow it with --allow-group-key" : "");
}

/* The bytes of the file at PATH, which passed the checks of its mode. */
static int load(char text[LINE_MAX_LEN + 1], size_t *len, const char *path, bool allow_group,
                char why[KEYFILE_WHY_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc = ERR_SYS, saved;
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return fail_path(why, errno == ENOENT ? ERR_NOENT : ERR_SYS, path, err_text(ERR_SYS));
    if (fstat(fd, &st) != 0)
        goto close_fd;
    rc = check_mode(&st, allow_group, why);
    if (rc != ERR_OK)
        goto close_fd;
    n = read(fd, text, LINE_MAX_LEN + 1); /* one more than the longest line: "bytes after" */
    if (n < 0)
        rc = ERR_SYS;
    else
        *len = (size_t)n;
close_fd:
    saved = errno;
    (void)close(fd); /* only read from */
    errno = saved;
    if (rc != ERR_OK)
        return fail_path(why, rc, path, rc == ERR_SYS ? err_text(rc) : why);
    return ERR_OK;
}

int keyfile_read(uint8_t out[KEYFILE_LEN], enum keyfile_type type, const char *path,
                 bool allow_group, char why[KEYFILE_WHY_MAX])
{
    char text[LINE_MAX_LEN + 1];
    size_t len = 0;
    int rc;

    memset(out, 0, KEYFILE_LEN);
    rc = load(text, &len, path, allow_group, why);
    if (rc == ERR_OK) {
        rc = keyfile_parse(out, type, text, len, why);
        if (rc != ERR_OK)
            rc = fail_path(why, rc, path, why);
    }
    explicit_bzero(text, sizeof(text));
    if (rc != ERR_OK)
        explicit_bzero(out, KEYFILE_LEN);
    return rc;
}

int keyfile_type_of(enum keyfile_type *out, const char *path, char why[KEYFILE_WHY_MAX])
{
    char text[LINE_MAX_LEN + 1];
    size_t len = 0, at;
    int rc;

    rc = load(text, &len, path, true, why);
    if (rc == ERR_OK && first_word(out, &at, text, len) != ERR_OK)
        rc = fail_path(why, ERR_INVALID, path, "is not a netwall key file");
    explicit_bzero(text, sizeof(text));
    return rc;
}

int keyfile_write(const char *path, enum keyfile_type type, const uint8_t key[KEYFILE_LEN])
{
    char line[LINE_MAX_LEN + 1];
    size_t len = strlen(names[type]) + 1;
    int rc;

    memcpy(line, names[type], len - 1);
    line[len - 1] = ' ';
    hex_encode(line + len, key, KEYFILE_LEN);
    len += 2 * KEYFILE_LEN;
    line[len++] = '\n';
    rc = file_write_new(path, line, len);
    explicit_bzero(line, sizeof(line));
    return rc;
}
