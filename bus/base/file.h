/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole small files: read with a cap, written so that after a crash either the old or the new
 * content is there, never a part; and files that grow. Blocking; for start-up and rare state
 * changes.
 */
#ifndef BUS_BASE_FILE_H
#define BUS_BASE_FILE_H

#include <stddef.h>

/*
 * Read a whole file of at most MAX bytes into malloc'd, NUL-terminated memory that the caller
 * frees. Returns 0, ERR_NOENT, ERR_LIMIT, ERR_NOMEM or ERR_SYS. A FIFO or device is ERR_SYS with
 * EINVAL (EISDIR for a folder): reading one could wait for ever.
 */
int file_read(char **out, size_t *out_len, const char *path, size_t max);

/*
 * Put LEN bytes at PATH durably, mode 0600: temporary file in the same folder, fsync, rename,
 * fsync of the folder. Returns 0 or ERR_SYS; on error PATH is as it was.
 */
int file_write(const char *path, const void *data, size_t len);

/* The same for a file that must be new: ERR_EXISTS when something is at PATH, which stays. */
int file_write_new(const char *path, const void *data, size_t len);

/*
 * Add LEN bytes behind what PATH holds, durably (fdatasync). Returns 0, ERR_NOENT or ERR_SYS; after
 * an error a part of them may be there.
 */
int file_append(const char *path, const void *data, size_t len);

#endif
