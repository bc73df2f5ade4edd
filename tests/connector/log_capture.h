/* SPDX-License-Identifier: Apache-2.0 */
/* What the code under test writes to its log (stderr), as text; for tests of what people read. */
#ifndef TESTS_CONNECTOR_LOG_CAPTURE_H
#define TESTS_CONNECTOR_LOG_CAPTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct log_capture {
    int saved; /* the real stderr */
    FILE *file;
    char text[8192];
};

static inline void log_capture_start(struct log_capture *c)
{
    fflush(stderr);
    c->file = tmpfile();
    ck_assert_ptr_nonnull(c->file);
    c->saved = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(c->file), STDERR_FILENO), 0);
}

/* Puts stderr back; what was written is in c->text. */
static inline const char *log_capture_stop(struct log_capture *c)
{
    size_t len;

    fflush(stderr);
    ck_assert_int_ge(dup2(c->saved, STDERR_FILENO), 0);
    close(c->saved);
    rewind(c->file);
    len = fread(c->text, 1, sizeof(c->text) - 1, c->file);
    c->text[len] = '\0';
    fclose(c->file);
    return c->text;
}

#endif
