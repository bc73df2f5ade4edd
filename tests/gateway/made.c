/* SPDX-License-Identifier: Apache-2.0 */
/* Builders shared by the gateway tests. */
#include "tests/gateway/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/workload.h"
#include "tests/support/suite.h"

void made_config(struct gw_config *out, const char *text)
{
    char why[INI_WHY_MAX];

    ck_assert_msg(gw_config_parse(out, "made", text, strlen(text), why) == ERR_OK, "%s", why);
}

json_t *made_data(const char *fields)
{
    char text[2048];
    json_t *json;

    (void)snprintf(text, sizeof(text), "{%s,\"backends\":[\"tunnel:%s/web\"]}", fields, MADE_KEY);
    json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

json_t *made_spec(const char *name, const char *type, json_t *data)
{
    char id[SCH_ID_CAP];
    json_t *spec = json_pack("{s:s, s:i, s:i, s:s, s:i, s:s, s:o, s:s, s:[], s:b, s:s}", "id",
                             sch_workload_id(id, 7, 1, name), "twin", 7, "contract", 1, "name",
                             name, "version", 0, "type", type, "data", data, "twin_key",
                             MADE_TWIN_KEY, "domains", "paused", 0, "reason", "");

    ck_assert_ptr_nonnull(spec);
    return spec;
}

json_t *made_name(const char *name, const char *host)
{
    char fields[128];

    (void)snprintf(fields, sizeof(fields), "\"name\":\"%s\"", host);
    return made_spec(name, SCH_TYPE_NAME_PROXY, made_data(fields));
}

struct gw_entry *made_entry(struct gw_store *store, const char *name, json_t *spec)
{
    struct gw_entry *entry = NULL;
    char id[SCH_ID_CAP];
    size_t len = 0;
    char *text = sch_canonical(spec, &len);

    ck_assert_ptr_nonnull(text);
    sch_workload_id(id, 7, 1, name);
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, id), ERR_OK);
    ck_assert_int_eq(gw_entry_set_spec(entry, text, len), ERR_OK);
    ck_assert_int_eq(sch_canonical_hash(entry->hash, spec), ERR_OK);
    entry->gone = false;
    free(text);
    json_decref(spec);
    return entry;
}

char *made_field(struct made_desired *d, const char *id, uint64_t rev, json_t *spec)
{
    struct sch_assign assign;
    char *text;

    ck_assert_int_eq(sch_assign_make(&assign, rev, spec), ERR_OK);
    text = sch_assign_print(&assign);
    ck_assert_ptr_nonnull(text);
    sch_digest_toggle(&d->digest, id, &assign);
    d->head.count++;
    sch_assign_deinit(&assign);
    json_decref(spec);
    return text;
}

void made_head(struct made_desired *d, uint64_t epoch, uint64_t rev)
{
    d->head.epoch = epoch;
    d->head.rev = rev;
    sch_digest_text(d->head.digest, &d->digest);
}
