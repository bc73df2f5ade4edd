/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways and services as one word each. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/connector/config_item.h"
#include "tests/support/suite.h"

#define KEY_A "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
#define KEY_B "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"

START_TEST(test_item_gateway_and_a_second_key_for_it)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_int_eq(con_config_add_gateway(config, "gw.test:7443#" KEY_A, why), ERR_OK);
    ck_assert_int_eq(con_config_add_gateway(config, "gw.test:7443#" KEY_B, why), ERR_OK);
    ck_assert_int_eq(con_config_add_gateway(config, "gw.test:443#" KEY_B, why), ERR_OK);
    ck_assert_uint_eq(config->gateway_count, 2);
    ck_assert_uint_eq(config->gateways[0].key_count, 2);
    ck_assert_str_eq(config->gateways[0].name, "gw.test:7443");
    ck_assert_ptr_nonnull(con_config_gateway(config, "gw.test:443"));
    ck_assert_int_eq(con_config_add_gateway(config, "gw.test:443#" KEY_B, why), ERR_INVALID);
    free(config);
}
END_TEST

START_TEST(test_item_gateways_have_a_limit)
{
    struct con_config *config = con_config_new();
    char item[200], why[CON_WHY_CAP];

    for (int i = 1; i <= CON_GATEWAYS_MAX; i++) {
        snprintf(item, sizeof(item), "gw.test:%d#" KEY_A, i);
        ck_assert_int_eq(con_config_add_gateway(config, item, why), ERR_OK);
    }
    ck_assert_int_eq(con_config_add_gateway(config, "gw.test:999#" KEY_A, why), ERR_INVALID);
    free(config);
}
END_TEST

static const char *const bad_gateways[] = {
    "",
    "gw.test:7443",
    "gw.test#" KEY_A,
    "gw.test:7443#",
    "gw.test:7443#zz",
    "#" KEY_A,
    "gw.test:7443#0000000000000000000000000000000000000000000000000000000000000000",
};

START_TEST(test_item_bad_gateway_is_named)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_msg(con_config_add_gateway(config, bad_gateways[_i], why) == ERR_INVALID, "took %s",
                  bad_gateways[_i]);
    ck_assert_int_eq(strncmp(why, "gateway \"", 9), 0);
    ck_assert_uint_eq(config->gateway_count, 0);
    free(config);
}
END_TEST

START_TEST(test_item_service_with_and_without_tls)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_int_eq(con_config_add_service(config, "web=127.0.0.1:80,tls=127.0.0.1:443", why),
                     ERR_OK);
    ck_assert_int_eq(con_config_add_service(config, "ssh=unix:/run/a=b", why), ERR_OK);
    ck_assert_str_eq(config->services[0].target.text, "127.0.0.1:80");
    ck_assert_str_eq(config->services[0].tls_target.text, "127.0.0.1:443");
    ck_assert_str_eq(config->services[1].target.text, "unix:/run/a=b");
    ck_assert(!con_target_given(&config->services[1].tls_target));
    ck_assert_int_eq(con_config_add_service(config, "web=127.0.0.1:81", why), ERR_INVALID);
    free(config);
}
END_TEST

static const char *const bad_services[] = {
    "",
    "web",
    "=127.0.0.1:80",
    "web=",
    "web=127.0.0.1",
    "WEB=127.0.0.1:80",
    "web=127.0.0.1:80,tls=",
    "w b=127.0.0.1:80",
    "a23456789012345678901234567890123=127.0.0.1:80",
};

START_TEST(test_item_bad_service_is_named)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_msg(con_config_add_service(config, bad_services[_i], why) == ERR_INVALID, "took %s",
                  bad_services[_i]);
    ck_assert_int_eq(strncmp(why, "service ", 8), 0);
    free(config);
}
END_TEST

START_TEST(test_item_twin_name_and_key)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "", longest[CON_PATH_CAP + 1];

    ck_assert_int_eq(con_config_set_twin(config, "4294967295", why), ERR_OK);
    ck_assert_uint_eq(config->twin, UINT32_MAX);
    ck_assert_int_eq(con_config_set_twin(config, "4294967296", why), ERR_INVALID);
    ck_assert_int_eq(con_config_set_twin(config, "0", why), ERR_INVALID);
    ck_assert_int_eq(con_config_set_twin(config, "7x", why), ERR_INVALID);
    ck_assert_int_eq(con_config_set_twin(config, "", why), ERR_INVALID);
    ck_assert_int_eq(con_config_set_name(config, "w", why), ERR_OK);
    ck_assert_str_eq(config->name, "w");
    ck_assert_int_eq(con_config_set_name(config, "", why), ERR_INVALID);
    memset(longest, 'k', sizeof(longest));
    longest[CON_PATH_CAP] = '\0';
    ck_assert_int_eq(con_config_set_key(config, longest, why), ERR_INVALID);
    longest[CON_PATH_CAP - 1] = '\0';
    ck_assert_int_eq(con_config_set_key(config, longest, why), ERR_OK);
    free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/config_item");
    TCase *tc = tcase_create("item");

    tcase_add_test(tc, test_item_gateway_and_a_second_key_for_it);
    tcase_add_test(tc, test_item_gateways_have_a_limit);
    tcase_add_loop_test(tc, test_item_bad_gateway_is_named, 0, COUNT(bad_gateways));
    tcase_add_test(tc, test_item_service_with_and_without_tls);
    tcase_add_loop_test(tc, test_item_bad_service_is_named, 0, COUNT(bad_services));
    tcase_add_test(tc, test_item_twin_name_and_key);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
