/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that whole lines are appended to, without ever waiting: a plain file, a named pipe, or
 * where our own output goes (/dev/stdout, /dev/stderr: a file, a pipe, a terminal or the journal's
 * socket). Several processes may append to one path. It logs what goes wrong, at a pace.
 */
#ifndef MODULES_GATEWAY_ACCESS_FILE_H
#define MODULES_GATEWAY_ACCESS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/log.h"
#include "modules/gateway/access_line.h"
#include "modules/gateway/config.h"

struct gw_access_file {
    char path[GW_PATH_MAX];
    int fd; /* -1 = not open; tried again as lines come */
    enum gw_access_kind {
        GW_ACCESS_PLAIN,  /* a write is whole, unless the disk is full */
        GW_ACCESS_PIPE,   /* or terminal or device: whole up to GW_ACCESS_LINE_MAX */
        GW_ACCESS_SHARED, /* our own output, which must not be made non-blocking */
        GW_ACCESS_SOCKET, /* likewise, a socket */
    } kind;
    uint64_t tried_ms;             /* last attempt to open, monotonic */
    char rest[GW_ACCESS_LINE_MAX]; /* of a line that was written in part */
    size_t rest_len;
    struct log_pace pace;
    uint64_t lost; /* lines since the last warning */
};

/* Open PATH, made with mode 0640 when missing. A failure is logged, and tried again later. */
void gw_access_file_init(struct gw_access_file *self, const char *path);
void gw_access_file_deinit(struct gw_access_file *self);

/* Append LEN bytes of whole lines. Returns how many of the lines are lost. */
uint64_t gw_access_file_append(struct gw_access_file *self, const char *lines, size_t len);

/* Open the path anew. When that fails, the old one stays (logged). */
void gw_access_file_reopen(struct gw_access_file *self);

#endif
