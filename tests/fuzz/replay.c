/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer in ordinary builds: runs the fuzz target over every file of the folders
 * given as arguments, so that ctest replays all seeds under every compiler and sanitizer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)1 << 20) /* a seed is small; this only bounds a mistake */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Run one file; the block ends where the data ends, so that a sanitizer sees over-reads. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(FILE_MAX), *exact;
    size_t len;
    int bad;

    if (file == NULL || data == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    len = fread(data, 1, FILE_MAX, file);
    bad = ferror(file);
    fclose(file);
    exact = realloc(data, len > 0 ? len : 1);
    if (bad || exact == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    (void)LLVMFuzzerTestOneInput(exact, len); /* 0 or -1 (do not keep): both are fine here */
    free(exact);
    return 1;
}

/* How many files of FOLDER were run; hidden files and folders are passed over. */
static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct stat st;
    char path[4096];
    int done = 0;

    if (dir == NULL) {
        perror(folder);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        done += replay_file(path);
    }
    closedir(dir);
    return done;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int done = replay_folder(argv[i]);

        if (done == 0) {
            fprintf(stderr, "%s: no seeds\n", argv[i]);
            return EXIT_FAILURE;
        }
        printf("%s: %d seeds\n", argv[i], done);
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
