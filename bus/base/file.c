/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. What is written here is state and keys, so durability comes before speed. */
#include "bus/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"

#define READ_MIN 4096u /* place for a file that says it is smaller */

/* read() until LEN bytes or the end; how many, or -1. */
static ssize_t read_full(int fd, char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, data + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int write_full(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_SYS;
        data += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static void close_quietly(int fd)
{
    int saved = errno; /* the caller will want to print it */

    (void)close(fd); /* nothing to do about it: the error that counts came before */
    errno = saved;
}

/*
 * Everything of FD into *TEXT, which grows from CAP bytes on; MAX bounds it, not what is asked of
 * memory. One byte more than there is place for is asked for, to notice that the file has grown, or
 * has a size at all: in /proc all say 0. On error *TEXT is the caller's still.
 */
static int read_all(char **text, size_t *out_len, int fd, size_t cap, size_t max)
{
    size_t len = 0;

    for (;; cap = cap < max / 2 ? 2 * cap : max) {
        char *more = realloc(*text, cap + 1 + 1);
        ssize_t n;

        if (more == NULL)
            return ERR_NOMEM;
        *text = more;
        n = read_full(fd, more + len, cap + 1 - len);
        if (n < 0)
            return ERR_SYS;
        len += (size_t)n;
        if (len <= cap)
            break;
        if (cap == max)
            return ERR_LIMIT;
    }
    (*text)[len] = '\0';
    *out_len = len;
    return ERR_OK;
}

/* Reads FD, a regular file, to *OUT. */
static int read_fd(char **out, size_t *out_len, int fd, size_t max)
{
    size_t least = max < READ_MIN ? max : READ_MIN;
    char *text = NULL;
    struct stat st;
    int rc;

    if (fstat(fd, &st) != 0)
        return ERR_SYS;
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return ERR_SYS;
    }
    if ((uint64_t)st.st_size > max)
        return ERR_LIMIT;
    rc = read_all(&text, out_len, fd, (size_t)st.st_size < least ? least : (size_t)st.st_size, max);
    if (rc == ERR_OK)
        *out = text;
    else
        free(text);
    return rc;
}

int file_read(char **out, size_t *out_len, const char *path, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not block */
    int rc;

    if (fd < 0)
        return errno == ENOENT ? ERR_NOENT : ERR_SYS;
    rc = read_fd(out, out_len, fd, max);
    close_quietly(fd);
    return rc;
}

/* Make the name of PATH itself durable. */
static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    char *folder = slash == NULL ? strdup(".") : strndup(path, len > 0 ? len : 1);
    int fd, rc;

    if (folder == NULL)
        return ERR_SYS;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return ERR_SYS;
    rc = fsync(fd) == 0 ? ERR_OK : ERR_SYS;
    close_quietly(fd);
    return rc;
}

/* The temporary file beside PATH with the content, on disk. TEMP is a mkostemp template. */
static int write_temp(char *temp, const void *data, size_t len)
{
    int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    int saved;

    if (fd < 0)
        return ERR_SYS;
    if (write_full(fd, data, len) != ERR_OK || fchmod(fd, 0600) != 0 || fsync(fd) != 0) {
        close_quietly(fd);
        goto remove;
    }
    if (close(fd) != 0)
        goto remove;
    return ERR_OK;

remove:
    saved = errno;
    (void)unlink(temp);
    errno = saved;
    return ERR_SYS;
}

/* Give TEMP its name; it does not exist under the old one afterwards, also on error. */
static int publish(const char *temp, const char *path, bool must_be_new)
{
    int rc = must_be_new ? link(temp, path) : rename(temp, path);
    int saved = errno;

    if (rc != 0 || must_be_new)
        (void)unlink(temp); /* left behind it would be litter, not damage */
    errno = saved;
    if (rc != 0)
        return must_be_new && saved == EEXIST ? ERR_EXISTS : ERR_SYS;
    return sync_folder_of(path);
}

static int write_file(const char *path, const void *data, size_t len, bool must_be_new)
{
    char *temp;
    int rc;

    if (asprintf(&temp, "%s.XXXXXX", path) < 0) {
        errno = ENOMEM;
        return ERR_SYS;
    }
    rc = write_temp(temp, data, len);
    if (rc == ERR_OK)
        rc = publish(temp, path, must_be_new);
    free(temp);
    return rc;
}

int file_write(const char *path, const void *data, size_t len)
{
    return write_file(path, data, len, false);
}

int file_write_new(const char *path, const void *data, size_t len)
{
    return write_file(path, data, len, true);
}

int file_append(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    int rc;

    if (fd < 0)
        return errno == ENOENT ? ERR_NOENT : ERR_SYS;
    rc = write_full(fd, data, len);
    if (rc == ERR_OK && fdatasync(fd) != 0)
        rc = ERR_SYS;
    close_quietly(fd);
    return rc;
}
