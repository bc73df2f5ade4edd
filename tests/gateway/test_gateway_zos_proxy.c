/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of Zero-OS's gateway calls: what becomes a spec, what is refused in which words. */
#include "modules/gateway/zos_proxy.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/node.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static char *spec;
static char why[GW_ZOS_WHY_MAX];

static int take(enum gw_zos_kind kind, const char *hex)
{
    uint8_t bytes[1024];
    struct bus_tree *tree = NULL;
    int rc;

    ck_assert_int_eq(bus_tree_new(&tree, bytes, golden_bytes(bytes, sizeof(bytes), hex), NULL),
                     ERR_OK);
    free(spec);
    spec = NULL;
    why[0] = '\0';
    rc = gw_zos_proxy_read(&spec, kind, bus_tree_root(tree), why);
    bus_tree_free(tree);
    return rc;
}

static void tear_down(void)
{
    free(spec);
    spec = NULL;
}

/* ZOS.md 1.5 (a), but for the network. */
#define BACKENDS "a84261636b656e6473 91 b2687474703a2f2f31302e312e322e333a3830"
#define NO_NETWORK "a74e6574776f726b c0"
#define WEB "a44e616d65 a3776562"
#define PASS "ae544c5350617373 7468726f756768"

START_TEST(test_zos_proxy_of_a_go_client)
{
    ck_assert_int_eq(take(GW_ZOS_NAME, "84" PASS "c2" BACKENDS NO_NETWORK WEB), ERR_OK);
    ck_assert_str_eq(spec, "{\"data\":{\"backends\":[\"http://10.1.2.3:80\"],\"name\":\"web\","
                           "\"tls_passthrough\":false},\"type\":\"gateway-name-proxy\"}");
    ck_assert_int_eq(take(GW_ZOS_NAME, HEX_PROXY), ERR_INVALID);
    ck_assert_str_eq(why, "failed to get user network: private networks are not supported on "
                          "this node");
}
END_TEST

/* Go's decoder takes them all. */
static const struct {
    const char *name;
    const char *hex;
} tolerated[] = {
    {"another order, unknown keys", "84" WEB "a178 01" PASS "c2" BACKENDS},
    {"an array", "94 c2 91 b2687474703a2f2f31302e312e322e333a3830 c0 a3776562"},
    {"text as bytes", "82" BACKENDS "a44e616d65 c403776562"},
    {"nil for false, an empty network", "84" PASS "c0" BACKENDS "a74e6574776f726b a0" WEB},
};

START_TEST(test_zos_proxy_is_as_tolerant_as_go)
{
    ck_assert_msg(take(GW_ZOS_NAME, tolerated[_i].hex) == ERR_OK, "%s: %s", tolerated[_i].name,
                  why);
    ck_assert_ptr_nonnull(strstr(spec, "\"name\":\"web\",\"tls_passthrough\":false"));
}
END_TEST

/* Types that no Go client sends: the call fails before the method. */
static const char *const mistyped[] = {
    "01",
    "a3776562",
    "83" PASS "a0" BACKENDS WEB,
    "83" PASS "01" BACKENDS WEB,
    "82" BACKENDS "a44e616d65 01",
    "82 a84261636b656e6473 a178" WEB,
    "82 a84261636b656e6473 91 01" WEB,
    "83" BACKENDS "a74e6574776f726b 90" WEB,
};

START_TEST(test_zos_proxy_other_types_are_no_argument)
{
    ck_assert_int_eq(take(GW_ZOS_NAME, mistyped[_i]), ERR_PROTO);
    ck_assert_ptr_null(spec);
}
END_TEST

static const struct {
    enum gw_zos_kind kind;
    const char *hex;
    const char *why;
} refused[] = {
    {GW_ZOS_NAME, "81" WEB, "backends list can not be empty"},
    {GW_ZOS_NAME, "82 a84261636b656e6473 90" WEB, "backends list can not be empty"},
    {GW_ZOS_NAME, "81" BACKENDS, "name  is invalid"},
    {GW_ZOS_NAME, "82" BACKENDS "a44e616d65 a3612e62", "name a.b is invalid"},
    {GW_ZOS_NAME, "82" BACKENDS "a44e616d65 a22d61", "name -a is invalid"},
    {GW_ZOS_FQDN, "82" BACKENDS "a44651444e a161", "fqdn a is invalid"},
    {GW_ZOS_FQDN, "82" BACKENDS "a44651444e a3612e62", "fqdn a.b is invalid"},
    {GW_ZOS_FQDN, "82" BACKENDS "a44651444e a72a2e782e6f7267", "fqdn *.x.org is invalid"},
    {GW_ZOS_NAME, "82 a84261636b656e6473 91 a8 3132372e302e302e" WEB,
     "failed to validate backend '127.0.0.': scheme expected to be http"},
    {GW_ZOS_NAME, "83" PASS "c3" BACKENDS WEB,
     "failed to validate backend 'http://10.1.2.3:80': failed to parse backend http://10.1.2.3:80 "
     "with error: failed to parse backend http://10.1.2.3:80 with error: address "
     "http://10.1.2.3:80: too many colons in address"},
};

START_TEST(test_zos_proxy_refuses_in_the_words_of_the_original)
{
    ck_assert_int_eq(take(refused[_i].kind, refused[_i].hex), ERR_INVALID);
    ck_assert_str_eq(why, refused[_i].why);
}
END_TEST

START_TEST(test_zos_proxy_fqdn_has_a_field_of_its_own)
{
    ck_assert_int_eq(take(GW_ZOS_FQDN, "82" BACKENDS "a44651444e a5612e6f7267"), ERR_OK);
    ck_assert_ptr_nonnull(strstr(spec, "\"fqdn\":\"a.org\""));
}
END_TEST

static const struct {
    const char *id;
    const char *why; /* of a name; NULL = fine */
} ids[] = {
    {"12-345-gw", NULL},
    {"4294967295-18446744073709551615-a", NULL},
    {"", "invalid workload id: unexpected EOF"},
    {"gw", "invalid workload id: expected integer"},
    {"12", "invalid workload id: unexpected EOF"},
    {"12-", "invalid workload id: unexpected EOF"},
    {"12-345-", "invalid workload id: unexpected EOF"},
    {"12x-1-a", "invalid workload id: input does not match format"},
    {"12-x-a", "invalid workload id: expected integer"},
    {"4294967296-1-a", "invalid workload id: unsigned integer overflow"},
    {"12-1-a/b", "invalid workload id: unsupported character in workload name"},
};

START_TEST(test_zos_id_of_a_name_has_three_parts)
{
    int rc = gw_zos_id_check(GW_ZOS_NAME, ids[_i].id, why);

    ck_assert_int_eq(rc, ids[_i].why == NULL ? ERR_OK : ERR_INVALID);
    if (rc != ERR_OK)
        ck_assert_str_eq(why, ids[_i].why);
}
END_TEST

START_TEST(test_zos_id_of_an_fqdn_is_any_text_that_can_be_a_key)
{
    ck_assert_int_eq(gw_zos_id_check(GW_ZOS_FQDN, "gw", why), ERR_OK);
    ck_assert_int_eq(gw_zos_id_check(GW_ZOS_FQDN, "", why), ERR_INVALID);
    ck_assert_int_eq(gw_zos_id_check(GW_ZOS_FQDN, "a b", why), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/zos_proxy");
    TCase *tc = tcase_create("arguments");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, test_zos_proxy_of_a_go_client);
    tcase_add_loop_test(tc, test_zos_proxy_is_as_tolerant_as_go, 0, COUNT(tolerated));
    tcase_add_loop_test(tc, test_zos_proxy_other_types_are_no_argument, 0, COUNT(mistyped));
    tcase_add_loop_test(tc, test_zos_proxy_refuses_in_the_words_of_the_original, 0, COUNT(refused));
    tcase_add_test(tc, test_zos_proxy_fqdn_has_a_field_of_its_own);
    tcase_add_loop_test(tc, test_zos_id_of_a_name_has_three_parts, 0, COUNT(ids));
    tcase_add_test(tc, test_zos_id_of_an_fqdn_is_any_text_that_can_be_a_key);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
