/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/statement.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define KEY CONNECTOR_KEY

/* One of each kind, with every field. */
static const char *const texts[SCH_STATEMENT_KINDS] = {
    [SCH_GRANT] = "{'twin_id':7,'public_key':'" KEY "','serial':5,'not_after':9,"
                  "'limits':{'exposures':3,'tcp_ports':0},'domains':['Example.org.'],"
                  "'names':['Blog']}",
    [SCH_REVOKE] = "{'twin_id':7,'reason':'unpaid','serial':6}",
    [SCH_LOCK] = "{'twin_id':7,'contract_id':1001,'lock':true,'reason':'late','serial':7}",
    [SCH_DELETE] = "{'twin_id':7,'contract_id':1001,'version':3,'nodes':['gw1']}",
};

/* TEXT signed as KIND by key 1. */
static json_t *signed_by_1(enum sch_statement_kind kind, const char *text)
{
    json_t *json = json_of(text);
    struct sch_report report;
    uint8_t seed[32];

    seed_of(seed, 1);
    ck_assert_int_eq(sch_statement_sign(json, kind, seed, &report), ERR_OK);
    return json;
}

static struct sch_statement *parsed(enum sch_statement_kind kind, json_t *json)
{
    struct sch_report report = {0};
    struct sch_statement *s;

    ck_assert_msg(sch_statement_from_json(&s, kind, json, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    json_decref(json);
    return s;
}

/* _i is the kind: sign, print, parse, verify; any other context or key fails. */
START_TEST(test_statement_survives_a_round_trip)
{
    enum sch_statement_kind kind = (enum sch_statement_kind)_i, guess;
    json_t *json = signed_by_1(kind, texts[_i]);
    uint8_t key[32], other[32];
    struct sch_report report;
    struct sch_statement *s;
    char *text = sch_canonical(json, NULL);

    ck_assert_int_eq(sch_statement_guess(&guess, json), ERR_OK);
    ck_assert_int_eq(guess, kind);
    json_decref(json);
    ck_assert_int_eq(sch_statement_parse(&s, kind, text, strlen(text), &report), ERR_OK);
    public_key_of(key, 1);
    public_key_of(other, 2);
    ck_assert_int_eq(sch_statement_verify(s, key, &report), ERR_OK);
    ck_assert_int_eq(sch_statement_verify(s, other, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    if (kind != SCH_DELETE) {
        ck_assert_mem_eq(s->authority, key, 32);
        ck_assert_int_eq(sch_statement_verify(s, NULL, &report), ERR_OK);
    }
    s->kind = (enum sch_statement_kind)((_i + 1) % SCH_STATEMENT_KINDS);
    ck_assert_int_eq(sch_statement_verify(s, key, &report), ERR_INVALID);
    sch_statement_free(s);
    free(text);
}
END_TEST

START_TEST(test_statement_grant_fields)
{
    struct sch_statement *s = parsed(SCH_GRANT, signed_by_1(SCH_GRANT, texts[SCH_GRANT]));

    ck_assert_uint_eq(s->twin_id, 7);
    ck_assert_uint_eq(s->serial, 5);
    ck_assert_uint_eq(s->not_after, 9);
    ck_assert_uint_eq(s->limits[SCH_QUOTA_EXPOSURES], 3);
    ck_assert_uint_eq(s->limits[SCH_QUOTA_TCP_PORTS], 0);
    ck_assert_uint_eq(s->domain_count, 1);
    ck_assert_str_eq(s->domains[0], "example.org");
    ck_assert_uint_eq(s->name_count, 1);
    ck_assert_str_eq(s->names[0], "blog");
    sch_statement_free(s);
    s = parsed(SCH_GRANT, signed_by_1(SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':0,"
                                                 "'limits':{}}"));
    ck_assert_uint_eq(s->not_after, 0);
    ck_assert_uint_eq(s->limits[SCH_QUOTA_EXPOSURES], 10);
    ck_assert_uint_eq(s->limits[SCH_QUOTA_TCP_PORTS], 2);
    ck_assert_ptr_null(s->domains);
    sch_statement_free(s);
}
END_TEST

START_TEST(test_statement_fields_of_the_others)
{
    struct sch_statement *s = parsed(SCH_REVOKE, signed_by_1(SCH_REVOKE, texts[SCH_REVOKE]));

    ck_assert_str_eq(s->reason, "unpaid");
    sch_statement_free(s);
    s = parsed(SCH_LOCK, signed_by_1(SCH_LOCK, texts[SCH_LOCK]));
    ck_assert(s->lock);
    ck_assert_uint_eq(s->contract_id, 1001);
    sch_statement_free(s);
    s = parsed(SCH_LOCK, signed_by_1(SCH_LOCK, "{'twin_id':7,'lock':false,'serial':1}"));
    ck_assert(!s->lock);
    ck_assert_uint_eq(s->contract_id, 0);
    sch_statement_free(s);
    s = parsed(SCH_DELETE, signed_by_1(SCH_DELETE, texts[SCH_DELETE]));
    ck_assert_uint_eq(s->version, 3);
    ck_assert(sch_statement_names_node(s, "gw1", NULL));
    ck_assert(!sch_statement_names_node(s, "gw2", KEY));
    sch_statement_free(s);
    sch_statement_free(NULL);
}
END_TEST

static const struct {
    enum sch_statement_kind kind;
    const char *text;
    enum sch_code code;
    const char *path;
} bad[] = {
    {SCH_GRANT, "{'public_key':'" KEY "','serial':1}", SCH_MALFORMED, "twin_id"},
    {SCH_GRANT, "{'twin_id':0,'public_key':'" KEY "','serial':1}", SCH_OUT_OF_RANGE, "twin_id"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "'}", SCH_MALFORMED, "serial"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'AB','serial':1}", SCH_OUT_OF_RANGE, "public_key"},
    {SCH_GRANT,
     "{'twin_id':7,'serial':1,'public_key':"
     "'0000000000000000000000000000000000000000000000000000000000000000'}",
     SCH_OUT_OF_RANGE, "public_key"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'domain':[]}", SCH_MALFORMED,
     "domain"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'domains':['a.b','*.b']}",
     SCH_BAD_NAME, "domains[1]"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'domains':[1]}", SCH_BAD_TYPE,
     "domains[0]"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'names':['a.b']}", SCH_BAD_NAME,
     "names[0]"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'limits':{'exposure':1}}",
     SCH_MALFORMED, "limits.exposure"},
    {SCH_GRANT, "{'twin_id':7,'public_key':'" KEY "','serial':1,'limits':{'exposures':-1}}",
     SCH_OUT_OF_RANGE, "limits.exposures"},
    {SCH_REVOKE, "{'twin_id':7,'serial':1,'reason':5}", SCH_BAD_TYPE, "reason"},
    {SCH_REVOKE, "{'twin_id':7,'serial':-1}", SCH_OUT_OF_RANGE, "serial"},
    {SCH_REVOKE, "{'twin_id':7,'serial':1,'lock':true}", SCH_MALFORMED, "lock"},
    {SCH_LOCK, "{'twin_id':7,'serial':1}", SCH_MALFORMED, "lock"},
    {SCH_LOCK, "{'twin_id':7,'serial':1,'lock':1}", SCH_BAD_TYPE, "lock"},
    {SCH_LOCK, "{'twin_id':7,'serial':1,'lock':true,'contract_id':0}", SCH_OUT_OF_RANGE,
     "contract_id"},
    {SCH_DELETE, "{'twin_id':7,'contract_id':1,'version':0}", SCH_MALFORMED, "nodes"},
    {SCH_DELETE, "{'twin_id':7,'contract_id':1,'version':0,'nodes':[]}", SCH_OUT_OF_RANGE, "nodes"},
    {SCH_DELETE, "{'twin_id':7,'contract_id':1,'version':0,'nodes':['/']}", SCH_BAD_NAME,
     "nodes[0]"},
    {SCH_DELETE, "{'twin_id':7,'contract_id':1,'version':0,'nodes':['a'],'serial':1}",
     SCH_MALFORMED, "serial"},
};

START_TEST(test_statement_refuses_with_a_path)
{
    json_t *json = signed_by_1(bad[_i].kind, bad[_i].text);
    struct sch_report report = {0};
    struct sch_statement *s;

    ck_assert_int_eq(sch_statement_from_json(&s, bad[_i].kind, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, bad[_i].path);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(bad[_i].code));
    json_decref(json);
}
END_TEST

START_TEST(test_statement_without_signature_is_unsigned)
{
    json_t *json = signed_by_1(SCH_REVOKE, texts[SCH_REVOKE]);
    struct sch_report report = {0};
    struct sch_statement *s;

    json_object_del(json, "signature");
    ck_assert_int_eq(sch_statement_from_json(&s, SCH_REVOKE, json, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    ck_assert_str_eq(report.path, "signature");
    json_decref(json);
}
END_TEST

static const struct {
    const char *host; /* NULL: the name */
    const char *name;
    bool reserved;
} reserved[] = {
    {"example.org", NULL, true},
    {"a.example.org", NULL, true},
    {"b.a.example.org", NULL, true},
    {"*.example.org", NULL, true},
    {"evilexample.org", NULL, false},
    {"org", NULL, false},
    {NULL, "blog", true},
    {NULL, "blog2", false},
    {"blog.elsewhere.org", NULL, false},
};

START_TEST(test_statement_grant_reserves_names)
{
    struct sch_statement *s = parsed(SCH_GRANT, signed_by_1(SCH_GRANT, texts[SCH_GRANT]));
    struct sch_claim claim = {.kind = SCH_CLAIM_NAME};

    if (reserved[_i].host != NULL)
        claim = sch_claim_host(reserved[_i].host);
    else
        (void)strcpy(claim.key, reserved[_i].name);
    ck_assert(sch_grant_reserves(s, &claim) == reserved[_i].reserved);
    sch_statement_free(s);
}
END_TEST

/* _i is the kind: every changed byte of the canonical text is noticed. */
START_TEST(test_statement_damage_is_never_accepted)
{
    enum sch_statement_kind kind = (enum sch_statement_kind)_i;
    json_t *json = signed_by_1(kind, texts[_i]);
    char *text = sch_canonical(json, NULL);
    size_t len = strlen(text);
    uint8_t key[32];

    public_key_of(key, 1);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            char *copy = exact_copy(text, len);
            struct sch_report report = {0};
            struct sch_statement *s = NULL;
            int rc;

            copy[i] = (char)(copy[i] ^ (1 << bit));
            rc = sch_statement_parse(&s, kind, copy, len, &report);
            if (rc == ERR_OK)
                rc = sch_statement_verify(s, key, &report);
            ck_assert_msg(rc == ERR_INVALID, "byte %zu: %.*s", i, (int)len, copy);
            sch_statement_free(s);
            free(copy);
        }
    }
    free(text);
    json_decref(json);
}
END_TEST

START_TEST(test_statement_guess_of_other_documents)
{
    static const char *const others[] = {"{}", "{'twin_id':1}", "{'serial':1}",
                                         "{'version':1,'nodes':[],'workloads':[]}"};
    enum sch_statement_kind kind;

    for (int i = 0; i < COUNT(others); i++) {
        json_t *json = json_of(others[i]);

        ck_assert_int_eq(sch_statement_guess(&kind, json), ERR_INVALID);
        json_decref(json);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/statement");
    TCase *tc = tcase_create("statement");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_statement_survives_a_round_trip, 0, SCH_STATEMENT_KINDS);
    tcase_add_test(tc, test_statement_grant_fields);
    tcase_add_test(tc, test_statement_fields_of_the_others);
    tcase_add_loop_test(tc, test_statement_refuses_with_a_path, 0, COUNT(bad));
    tcase_add_test(tc, test_statement_without_signature_is_unsigned);
    tcase_add_loop_test(tc, test_statement_grant_reserves_names, 0, COUNT(reserved));
    tcase_add_loop_test(tc, test_statement_damage_is_never_accepted, 0, SCH_STATEMENT_KINDS);
    tcase_add_test(tc, test_statement_guess_of_other_documents);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
