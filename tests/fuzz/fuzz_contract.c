/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: contracts, statements and assignments as JSON text. What is taken has a canonical
 * form that is taken again with the same meaning; what is refused says why.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/assignment.h"
#include "schemas/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(int rc, const struct sch_report *report)
{
    assert(rc == ERR_INVALID);
    assert(report->code != SCH_OK && report->why[0] != '\0');
    assert(memchr(report->path, '\0', sizeof(report->path)) != NULL);
}

static const uint8_t *key_of(void *arg, uint32_t twin_id)
{
    return twin_id % 2 == 1 ? arg : NULL;
}

static void check_deployment(const char *text, size_t len)
{
    static const uint8_t key[SCH_PUBLIC_LEN] = {1};
    struct sch_report report = {0};
    struct sch_deployment *d, *again;
    uint8_t md5[SCH_MD5_LEN];
    char *form;
    int rc = sch_deployment_parse(&d, text, len, &report);

    if (rc != ERR_OK) {
        check_refusal(rc, &report);
        return;
    }
    form = sch_canonical(d->json, &len);
    assert(form != NULL);
    assert(sch_deployment_parse(&again, form, len, &report) == ERR_OK);
    assert(memcmp(d->hash, again->hash, sizeof(d->hash)) == 0);
    assert(d->workload_count == again->workload_count);
    (void)sch_zos_hash(md5, d->json); /* may not be of Zero-OS types */
    assert(sch_deployment_verify(d, key_of, (void *)(uintptr_t)key, &report) == ERR_INVALID);
    assert(report.code == SCH_BAD_SIGNATURE || report.code == SCH_UNKNOWN_TWIN);
    sch_deployment_free(d);
    sch_deployment_free(again);
    free(form);
}

static void check_statement(enum sch_statement_kind kind, const char *text, size_t len)
{
    struct sch_report report = {0};
    struct sch_statement *s;
    int rc = sch_statement_parse(&s, kind, text, len, &report);

    if (rc != ERR_OK) {
        check_refusal(rc, &report);
        return;
    }
    (void)sch_statement_verify(s, NULL, &report); /* either way is fine */
    sch_statement_free(s);
}

static void check_assignment(const char *text, size_t len)
{
    struct sch_report report = {0};
    struct sch_assign_head head;
    struct sch_assign entry;
    struct sch_spec spec;
    char *again;

    if (sch_assign_parse(&entry, text, len, &report) == ERR_OK) {
        again = sch_assign_print(&entry);
        assert(again != NULL);
        free(again);
        if (!entry.gone && sch_spec_parse(&spec, entry.spec, &report) == ERR_OK)
            sch_spec_deinit(&spec);
        sch_assign_deinit(&entry);
    }
    if (sch_assign_head_parse(&head, text, len, &report) == ERR_OK)
        assert(head.digest[64] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    check_deployment(text, size);
    for (int kind = 0; kind < SCH_STATEMENT_KINDS; kind++)
        check_statement((enum sch_statement_kind)kind, text, size);
    check_assignment(text, size);
    return 0;
}
