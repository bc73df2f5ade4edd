/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary folders under TMPDIR, or /tmp. */
#include "tests/support/temp_dir.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

char *temp_dir_new(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = NULL;

    ck_assert_int_gt(asprintf(&dir, "%s/nw-XXXXXX", base != NULL ? base : "/tmp"), 0);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void temp_dir_free(char *dir)
{
    if (dir == NULL)
        return;
    (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

char *temp_dir_path(const char *dir, const char *name)
{
    char *path = NULL;

    ck_assert_int_gt(asprintf(&path, "%s/%s", dir, name), 0);
    return path;
}
