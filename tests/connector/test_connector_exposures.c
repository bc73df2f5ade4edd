/* SPDX-License-Identifier: Apache-2.0 */
/* What the log says about the exposures a gateway lists: each once, when it comes and goes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "modules/connector/exposures.h"
#include "tests/connector/log_capture.h"
#include "tests/support/suite.h"

static struct con_config *config;
static struct con_exposures list;

static void setup(void)
{
    char why[CON_WHY_CAP];

    memset(&list, 0, sizeof(list));
    config = con_config_new();
    ck_assert_int_eq(con_config_add_service(config, "web=127.0.0.1:80", why), ERR_OK);
}

static void teardown(void)
{
    con_exposures_deinit(&list);
    con_exposures_deinit(&list);
    free(config);
}

static void take(const char *workload, const char *service)
{
    struct tun_exposure e = {0};

    snprintf(e.workload, sizeof(e.workload), "%s", workload);
    snprintf(e.service, sizeof(e.service), "%s", service);
    snprintf(e.url, sizeof(e.url), "https://%s.test", workload);
    con_exposures_take(&list, &e, "gw1", config);
}

/* End the list; what it wrote. */
static const char *end(struct log_capture *capture)
{
    log_capture_start(capture);
    con_exposures_take(&list, NULL, "gw1", config);
    return log_capture_stop(capture);
}

START_TEST(test_exposures_are_logged_once)
{
    struct log_capture c;
    const char *text;

    setup();
    take("7-1-a", "web");
    text = end(&c);
    ck_assert_ptr_nonnull(strstr(text, "https://7-1-a.test"));
    ck_assert_ptr_null(strstr(text, "no such service"));
    take("7-1-a", "web");
    ck_assert_str_eq(end(&c), ""); /* the same list again */
    take("7-1-a", "web");
    take("7-1-b", "web");
    text = end(&c);
    ck_assert_ptr_null(strstr(text, "7-1-a"));
    ck_assert_ptr_nonnull(strstr(text, "7-1-b"));
    take("7-1-b", "web");
    text = end(&c);
    ck_assert_ptr_nonnull(strstr(text, "no longer served"));
    ck_assert_ptr_nonnull(strstr(text, "7-1-a"));
    teardown();
}
END_TEST

START_TEST(test_exposures_of_a_missing_service_are_a_warning)
{
    struct log_capture c;

    setup();
    take("7-1-a", "api");
    ck_assert_ptr_nonnull(strstr(end(&c), "no such service"));
    teardown();
}
END_TEST

START_TEST(test_exposures_empty_list_says_so)
{
    struct log_capture c;

    setup();
    ck_assert_ptr_nonnull(strstr(end(&c), "no contract"));
    teardown();
}
END_TEST

START_TEST(test_exposures_list_is_bounded)
{
    struct log_capture c;
    char name[32];

    setup();
    for (int i = 0; i < CON_EXPOSURES_MAX + 50; i++) {
        snprintf(name, sizeof(name), "7-1-x%d", i);
        take(name, "web");
    }
    ck_assert_uint_eq(list.next_count, CON_EXPOSURES_MAX);
    (void)end(&c);
    ck_assert_uint_eq(list.now_count, CON_EXPOSURES_MAX);
    take("7-1-a", "web"); /* a list that never ends */
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/exposures");
    TCase *tc = tcase_create("exposures");

    tcase_add_test(tc, test_exposures_are_logged_once);
    tcase_add_test(tc, test_exposures_of_a_missing_service_are_a_warning);
    tcase_add_test(tc, test_exposures_empty_list_says_so);
    tcase_add_test(tc, test_exposures_list_is_bounded);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
