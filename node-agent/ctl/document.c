/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold documents, and documents on stdout. */
#include "node-agent/ctl/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/keyfile.h"
#include "node-agent/ctl/say.h"
#include "schemas/canonical.h"

/* All of STREAM, at most CTL_FILE_MAX bytes; pipes are fine, unlike with bus/base/file. */
static enum ctl_exit slurp(char **out, size_t *len, FILE *stream, const char *file)
{
    char *text = malloc(CTL_FILE_MAX + 1);

    if (text == NULL) {
        ctl_say("%s: out of memory", file);
        return CTL_FAILED;
    }
    *len = fread(text, 1, CTL_FILE_MAX, stream);
    if (ferror(stream) || (*len == CTL_FILE_MAX && fgetc(stream) != EOF)) {
        ctl_say("%s: %s", file, ferror(stream) ? strerror(errno) : "is longer than 512 KiB");
        free(text);
        return CTL_USAGE;
    }
    text[*len] = '\0';
    *out = text;
    return CTL_OK;
}

enum ctl_exit ctl_read(char **out, size_t *len, const char *file)
{
    enum ctl_exit rc;
    FILE *stream;

    if (strcmp(file, "-") == 0)
        return slurp(out, len, stdin, "stdin");
    stream = fopen(file, "re");
    if (stream == NULL) {
        ctl_say("%s: %s", file, strerror(errno));
        return CTL_USAGE;
    }
    rc = slurp(out, len, stream, file);
    (void)fclose(stream); /* only read */
    return rc;
}

enum ctl_exit ctl_load(json_t **out, const struct ctl *ctl, const char *file)
{
    static const struct sch_json_limits limits = {.bytes = CTL_FILE_MAX};
    struct sch_report report = {0};
    char *text;
    size_t len;
    enum ctl_exit code = ctl_read(&text, &len, file);
    int rc;

    if (code != CTL_OK)
        return code;
    rc = sch_json_load(out, text, len, &limits, &report);
    free(text);
    return rc == ERR_OK ? CTL_OK : ctl_refuse(ctl, file, &report);
}

/*
 * TEXT on one line. What the strict reader takes is printed again without blanks, everything else
 * (1.0, a key twice) must reach the node as it is: line ends only stand between tokens of JSON, so
 * blanks do as well.
 */
static void make_one_line(char *text, size_t *len)
{
    static const struct sch_json_limits limits = {.bytes = CTL_FILE_MAX};
    json_t *json;
    char *compact = NULL;

    if (sch_json_load(&json, text, *len, &limits, NULL) == ERR_OK) {
        compact = json_dumps(json, JSON_COMPACT);
        json_decref(json);
    }
    if (compact != NULL && strlen(compact) <= *len) {
        *len = strlen(compact);
        memcpy(text, compact, *len + 1);
    }
    free(compact);
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\r')
            *text = ' ';
    }
}

enum ctl_exit ctl_read_json_text(char **out, size_t *len, const struct ctl *ctl, const char *file)
{
    struct sch_report report = {0};
    json_error_t error;
    char *text = NULL;
    json_t *json;
    enum ctl_exit code = ctl_read(&text, len, file);

    if (code != CTL_OK)
        return code;
    json = json_loadb(text, *len, 0, &error);
    if (!json_is_object(json)) {
        if (json == NULL)
            (void)sch_fail(&report, SCH_MALFORMED, "", "line %d, column %d: %s", error.line,
                           error.column, error.text);
        else
            (void)sch_fail(&report, SCH_BAD_TYPE, "", "must be an object");
        json_decref(json);
        free(text);
        return ctl_refuse(ctl, file, &report);
    }
    json_decref(json);
    make_one_line(text, len);
    *out = text;
    return CTL_OK;
}

static enum ctl_exit print(const json_t *json, size_t flags)
{
    if (json == NULL || json_dumpf(json, stdout, flags | JSON_ENCODE_ANY) != 0 ||
        fputc('\n', stdout) == EOF || fflush(stdout) != 0) {
        ctl_say("cannot write: %s", json == NULL ? "out of memory" : strerror(errno));
        return CTL_FAILED;
    }
    return CTL_OK;
}

enum ctl_exit ctl_print(const json_t *json)
{
    return print(json, JSON_COMPACT);
}

enum ctl_exit ctl_print_pretty(const json_t *json)
{
    return print(json, JSON_INDENT(2));
}

enum ctl_exit ctl_read_seed(uint8_t seed[32], const struct ctl *ctl, const char *file)
{
    char why[KEYFILE_WHY_MAX];

    if (keyfile_read(seed, KEYFILE_ED25519, file, ctl->allow_group_key, why) == ERR_OK)
        return CTL_OK;
    ctl_say("%s", why);
    return CTL_USAGE;
}

enum ctl_exit ctl_parse_key(uint8_t out[32], const char *name, const char *text)
{
    if (hex_decode(out, 32, text, strlen(text)) == ERR_OK)
        return CTL_OK;
    ctl_say("--%s must be a public key, 64 lower-case hex digits; `netwall pubkey FILE` prints the "
            "one of a key file",
            name);
    return CTL_USAGE;
}
