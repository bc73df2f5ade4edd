/* SPDX-License-Identifier: Apache-2.0 */
/* What a function of ctl writes to stdout or stderr, as text. Header only, for unit tests. */
#ifndef TESTS_NODE_AGENT_CTL_CAPTURE_H
#define TESTS_NODE_AGENT_CTL_CAPTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CTL_CAPTURE_CAP 65536

/* One stream turned into a temporary file. */
struct ctl_capture {
    FILE *stream;
    FILE *file;
    int saved; /* the real thing */
};

static inline struct ctl_capture ctl_capture_begin(FILE *stream)
{
    struct ctl_capture self = {.stream = stream, .file = tmpfile()};

    ck_assert_ptr_nonnull(self.file);
    (void)fflush(stream);
    self.saved = dup(fileno(stream));
    ck_assert_int_ge(self.saved, 0);
    ck_assert_int_ge(dup2(fileno(self.file), fileno(stream)), 0);
    return self;
}

/* Put the stream back; the text is valid until the next call. */
static inline const char *ctl_capture_end(struct ctl_capture *self)
{
    static char text[CTL_CAPTURE_CAP];
    size_t len;

    (void)fflush(self->stream);
    ck_assert_int_ge(dup2(self->saved, fileno(self->stream)), 0);
    (void)close(self->saved);
    rewind(self->file);
    len = fread(text, 1, sizeof(text) - 1, self->file);
    text[len] = '\0';
    (void)fclose(self->file);
    return text;
}

#endif
