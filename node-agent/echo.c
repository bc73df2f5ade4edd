/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe, cut into lines; what is longer than a line may be loses its end. */
#include "node-agent/echo.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

#define READS_PER_EVENT 8

struct agent_echo {
    struct ev_loop *loop;
    ev_io io;
    const char *who;
    size_t len; /* of the line that is not complete */
    char line[AGENT_ECHO_LINE_MAX + 1];
    char last[AGENT_ECHO_LINE_MAX + 1];
};

/* Redis writes "1234:M 22 Nov 2026 10:06:50.617 # text": our log has time and level already. */
static const char *text_of(const char *line)
{
    static const char *const marks[] = {" # ", " * ", " - ", " . "};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const char *at = strstr(line, marks[i]);

        if (at != NULL && at - line < 48)
            return at + 3;
    }
    return line;
}

static void end_line(struct agent_echo *self)
{
    self->line[self->len] = '\0';
    if (self->len > 0) {
        strcpy(self->last, text_of(self->line)); /* the same room */
        LOG_DEBUG(self->who, KV_S("says", self->last));
    }
    self->len = 0;
}

static void take(struct agent_echo *self, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n')
            end_line(self);
        else if (self->len < AGENT_ECHO_LINE_MAX)
            self->line[self->len++] = bytes[i];
    }
}

static void listen_once(struct agent_echo *self)
{
    char bytes[4096];

    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = read(self->io.fd, bytes, sizeof(bytes));

        if (n > 0) {
            take(self, bytes, (size_t)n);
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            ev_io_stop(self->loop, &self->io); /* it closed its end */
        return;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    listen_once(w->data);
}

int agent_echo_new(struct agent_echo **out, struct ev_loop *loop, const char *who, int *child_fd)
{
    struct agent_echo *self = calloc(1, sizeof(*self));
    int fds[2];

    if (self == NULL)
        return ERR_NOMEM;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        free(self);
        return ERR_SYS;
    }
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* ours only: the child may wait */
    self->loop = loop;
    self->who = who;
    ev_io_init(&self->io, on_readable, fds[0], EV_READ);
    self->io.data = self;
    ev_io_start(loop, &self->io);
    *child_fd = fds[1];
    *out = self;
    return ERR_OK;
}

void agent_echo_free(struct agent_echo *self)
{
    if (self == NULL)
        return;
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
    free(self);
}

const char *agent_echo_last(struct agent_echo *self)
{
    listen_once(self);
    return self->last;
}
