/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD: a disk that remembers only what was synced. fsync and fdatasync of a file below
 * $NW_DISK_ROOT copy its content to $NW_PLATTER/data/<inode>; of a folder, the names in it to
 * $NW_PLATTER/names/<inode of the folder>. power_cut.py makes from that what a power cut would
 * leave, strictly as POSIX says: a name without its folder's fsync is gone. The disk is slow, so
 * that whoever does not wait for it is caught.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOW_US 20000

typedef int sync_fn(int fd);

/* Where FD lies, in OUT; false when it is none of ours. */
static bool below_root(int fd, char out[PATH_MAX])
{
    const char *root = getenv("NW_DISK_ROOT");
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, out, PATH_MAX - 1);
    if (n <= 0 || root == NULL)
        return false;
    out[n] = '\0';
    return strncmp(out, root, strlen(root)) == 0;
}

/* A file of the platter, under its temporary name; publish() gives it its own. */
static FILE *begin(char temp[PATH_MAX], const char *kind)
{
    snprintf(temp, PATH_MAX, "%s/%s/tmp.%d", getenv("NW_PLATTER"), kind, (int)gettid());
    return fopen(temp, "we");
}

static bool publish(const char *temp, const char *kind, unsigned long inode, FILE *f)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s/%lu", getenv("NW_PLATTER"), kind, inode);
    return fclose(f) == 0 && rename(temp, path) == 0;
}

static bool keep_content(const char *path, unsigned long inode)
{
    char temp[PATH_MAX], block[65536];
    FILE *in = fopen(path, "re"), *out = in != NULL ? begin(temp, "data") : NULL;
    size_t n;

    while (out != NULL && (n = fread(block, 1, sizeof(block), in)) > 0)
        (void)fwrite(block, 1, n, out);
    if (in != NULL)
        fclose(in);
    return out != NULL && publish(temp, "data", inode, out);
}

/* First line: the path of the folder; then "<inode> <name>" of each file in it. */
static bool keep_names(const char *path, unsigned long inode)
{
    char temp[PATH_MAX];
    DIR *folder = opendir(path);
    FILE *out = folder != NULL ? begin(temp, "names") : NULL;
    struct dirent *entry;
    struct stat st;

    if (out != NULL)
        fprintf(out, "%s\n", path);
    while (out != NULL && (entry = readdir(folder)) != NULL) {
        if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            fprintf(out, "%lu %s\n", (unsigned long)st.st_ino, entry->d_name);
    }
    if (folder != NULL)
        closedir(folder);
    return out != NULL && publish(temp, "names", inode, out);
}

static int sync_to_platter(int fd, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    bool kept = true;
    sync_fn *real;

    if (!below_root(fd, path)) {
        *(void **)&real = dlsym(RTLD_NEXT, name);
        return real(fd);
    }
    (void)usleep(SLOW_US);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        kept = keep_names(path, (unsigned long)st.st_ino);
    else if (strstr(path, " (deleted)") == NULL)
        kept = keep_content(path, (unsigned long)st.st_ino);
    if (!kept)
        abort(); /* the test would mean nothing */
    return 0;
}

int fsync(int fd)
{
    return sync_to_platter(fd, "fsync");
}

int fdatasync(int fd)
{
    return sync_to_platter(fd, "fdatasync");
}
