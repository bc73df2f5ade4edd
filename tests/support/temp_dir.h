/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for one test, removed with everything in it. */
#ifndef TESTS_SUPPORT_TEMP_DIR_H
#define TESTS_SUPPORT_TEMP_DIR_H

/* Make one (mode 0700, short path, for unix sockets); fails the test when that is not possible. */
char *temp_dir_new(void);
/* Remove it, links not followed, and free the text. NULL is fine. */
void temp_dir_free(char *dir);
/* "DIR/NAME", which the caller frees. */
char *temp_dir_path(const char *dir, const char *name);

#endif
