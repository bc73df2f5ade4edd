/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict of nw_schemas on documents, for check_corpus.py: one line a file, "<file> TAB ok" or
 * "<file> TAB <error code> TAB <path> TAB <why>". The kind of document is the file name up to '-'.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/statement.h"

/* Larger than any document, so that "too large" is the library's verdict. */
#define FILE_MAX (4 * SCH_DOCUMENT_MAX)

static int check_deployment(const char *text, size_t len, struct sch_report *report)
{
    struct sch_deployment *deployment = NULL;
    int rc = sch_deployment_parse(&deployment, text, len, report);

    sch_deployment_free(deployment);
    return rc;
}

static int check(const char *kind, const char *text, size_t len, struct sch_report *report)
{
    struct sch_statement *statement = NULL;
    int rc = ERR_NOENT;

    if (strncmp(kind, "deployment-", strlen("deployment-")) == 0)
        return check_deployment(text, len, report);
    for (int k = 0; k < SCH_STATEMENT_KINDS; k++) {
        const char *name = sch_statement_text((enum sch_statement_kind)k);

        if (strncmp(kind, name, strlen(name)) == 0 && kind[strlen(name)] == '-')
            rc = sch_statement_parse(&statement, (enum sch_statement_kind)k, text, len, report);
    }
    sch_statement_free(statement);
    return rc;
}

static int check_file(const char *path)
{
    static char text[FILE_MAX];
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    struct sch_report report = {0};
    FILE *file = fopen(path, "rb");
    size_t len;
    int rc;

    if (file == NULL) {
        perror(path);
        return 1;
    }
    len = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    rc = check(name, text, len, &report);
    if (rc == ERR_OK)
        printf("%s\tok\n", name);
    else
        printf("%s\t%s\t%s\t%s\n", name, sch_code_text(report.code), report.path, report.why);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= check_file(argv[i]);
    return failed;
}
