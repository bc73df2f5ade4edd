/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what may be a file, a pipe or our own output, and writing to it without waiting. */
#include "modules/gateway/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/clock.h"

#define MODE 0640
#define RETRY_MS 1000 /* between attempts to open */
#define WARN_MS 10000 /* between warnings */
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* ---- opening ---- */

/* The file of a new name gets MODE whatever the umask says: who may read it is the folder's say. */
static int open_path(const char *path)
{
    int fd = open(path, OPEN_FLAGS);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, OPEN_FLAGS | O_CREAT | O_EXCL, MODE);
    if (fd >= 0)
        (void)fchmod(fd, MODE); /* without it the owner alone reads */
    else if (errno == EEXIST)   /* another process of ours was first */
        fd = open(path, OPEN_FLAGS);
    return fd;
}

/* Our own output may be a socket, which open(2) refuses, or may belong to another user. */
static int dup_output(const char *path)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (strcmp(path, "/dev/stderr") == 0)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return -1;
}

static enum gw_access_kind kind_of(int fd, bool shared)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return GW_ACCESS_PIPE;
    if (S_ISSOCK(st.st_mode))
        return GW_ACCESS_SOCKET;
    if (S_ISREG(st.st_mode))
        return GW_ACCESS_PLAIN;
    return shared ? GW_ACCESS_SHARED : GW_ACCESS_PIPE;
}

/* Returns an open file and its kind, or -1 with errno. */
static int open_any(const char *path, enum gw_access_kind *kind)
{
    int fd = open_path(path), saved = errno;
    bool shared = fd < 0;

    if (shared)
        fd = dup_output(path);
    if (fd >= 0)
        *kind = kind_of(fd, shared);
    errno = saved;
    return fd;
}

/* ---- trouble ---- */

static void warn(struct gw_access_file *self, int error, uint64_t lost)
{
    self->lost += lost;
    if (log_pace(&self->pace, clock_mono_ms()) == 0)
        return;
    LOG_WARN("the access log cannot be written", KV_S("path", self->path),
             KV_S("why", strerrordesc_np(error)), KV_N("lost_lines", self->lost));
    self->lost = 0;
}

static void hang_up(struct gw_access_file *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
    self->rest_len = 0;
}

/* Whether it is open; at most one attempt in RETRY_MS. */
static bool is_open(struct gw_access_file *self)
{
    uint64_t now_ms;

    if (self->fd >= 0)
        return true;
    now_ms = clock_mono_ms();
    if (self->tried_ms != 0 && now_ms - self->tried_ms < RETRY_MS)
        return false;
    self->tried_ms = now_ms;
    self->fd = open_any(self->path, &self->kind);
    if (self->fd < 0)
        warn(self, errno, 0);
    return self->fd >= 0;
}

/* ---- writing ---- */

/* Whole lines from TEXT, which starts at most with the end of one. */
static size_t chunk_of(const struct gw_access_file *self, const char *text, size_t len)
{
    const char *last;

    if (self->kind == GW_ACCESS_PLAIN || len <= GW_ACCESS_LINE_MAX)
        return len;
    last = memrchr(text, '\n', GW_ACCESS_LINE_MAX);
    return last != NULL ? (size_t)(last - text) + 1 : GW_ACCESS_LINE_MAX;
}

/* As write(2), but never waits. */
static ssize_t write_now(const struct gw_access_file *self, const char *text, size_t len)
{
    struct pollfd ready = {.fd = self->fd, .events = POLLOUT};

    if (self->kind == GW_ACCESS_SOCKET)
        return send(self->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (self->kind == GW_ACCESS_SHARED && poll(&ready, 1, 0) != 1) {
        errno = EAGAIN;
        return -1;
    }
    return write(self->fd, text, len);
}

/* Writes until it is done or there is an error; returns how many bytes went. */
static size_t write_all(const struct gw_access_file *self, const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        ssize_t n = write_now(self, text + at, chunk_of(self, text + at, len - at));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

static uint64_t count_lines(const char *text, size_t len)
{
    const char *end = text + len;
    uint64_t lines = 0;

    while (text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        text++;
        lines++;
    }
    return lines;
}

/* AT bytes of the LEN went. The line that was cut is finished later; those behind it are lost. */
static uint64_t give_up(struct gw_access_file *self, const char *lines, size_t at, size_t len)
{
    int error = errno;
    const char *end;
    uint64_t lost;

    if (at > 0 && lines[at - 1] != '\n') {
        end = memchr(lines + at, '\n', len - at);
        self->rest_len = (size_t)(end - (lines + at)) + 1;
        memcpy(self->rest, lines + at, self->rest_len);
        at += self->rest_len;
    }
    lost = count_lines(lines + at, len - at);
    if (error == EPIPE || error == ECONNRESET || error == EIO || error == ENXIO) {
        lost += self->rest_len > 0;
        hang_up(self); /* the reader of a pipe may come back */
    }
    warn(self, error, lost);
    return lost;
}

/* The end of a line that was cut. */
static bool finish_line(struct gw_access_file *self)
{
    size_t n = write_all(self, self->rest, self->rest_len);

    memmove(self->rest, self->rest + n, self->rest_len - n);
    self->rest_len -= n;
    return self->rest_len == 0;
}

uint64_t gw_access_file_append(struct gw_access_file *self, const char *lines, size_t len)
{
    size_t at;

    if (!is_open(self)) {
        uint64_t lost = count_lines(lines, len);

        self->lost += lost; /* told with the next failed attempt */
        return lost;
    }
    if (self->rest_len > 0 && !finish_line(self))
        return give_up(self, lines, 0, len);
    at = write_all(self, lines, len);
    return at == len ? 0 : give_up(self, lines, at, len);
}

/* ---- life ---- */

void gw_access_file_init(struct gw_access_file *self, const char *path)
{
    memset(self, 0, sizeof(*self));
    (void)snprintf(self->path, sizeof(self->path), "%s", path);
    self->fd = -1;
    self->pace.window_ms = WARN_MS;
    (void)is_open(self);
}

void gw_access_file_deinit(struct gw_access_file *self)
{
    hang_up(self);
}

void gw_access_file_reopen(struct gw_access_file *self)
{
    enum gw_access_kind kind;
    int fd = open_any(self->path, &kind);

    if (fd < 0) {
        warn(self, errno, 0);
        return;
    }
    hang_up(self);
    self->fd = fd;
    self->kind = kind;
}
