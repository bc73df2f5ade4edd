/* SPDX-License-Identifier: Apache-2.0 */
#include "node-agent/ctl/args.h"

#include <string.h>

#include "tests/support/suite.h"

static const struct ctl_option options[] = {
    {"key", "FILE", "a key", true, false},
    {"keys", "N", "another name that begins alike", false, false},
    {"domain", "D", "many", false, true},
    {"print", NULL, "a flag", false, false},
    {0},
};

static const struct ctl_command command = {"test", "A [B]", 1, 2, "For the test.", options, NULL};

/* ARGV as words, NULL at the end. */
static enum ctl_exit parse(struct ctl_args *out, struct ctl *ctl, const char *const *argv)
{
    *out = (struct ctl_args){.command = &command};
    *ctl = (struct ctl){0};
    return ctl_args_parse(out, ctl, (char *const *)(uintptr_t)argv);
}

START_TEST(test_args_take_options_and_operands_in_any_order)
{
    const char *const argv[] = {"a",        "--domain=x", "--key",   "f",        "--json",
                                "--bus",    "u1",         "--print", "--domain", "y",
                                "--bus=u2", "b",          NULL};
    struct ctl_args args;
    struct ctl ctl;
    const char *const *domains;
    size_t count;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert_str_eq(ctl_arg(&args, "key"), "f");
    ck_assert_ptr_null(ctl_arg(&args, "keys"));
    ck_assert_ptr_nonnull(ctl_arg(&args, "print"));
    domains = ctl_arg_all(&args, "domain", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(domains[0], "x");
    ck_assert_str_eq(domains[1], "y");
    ck_assert_uint_eq(args.operand_count, 2);
    ck_assert_str_eq(args.operands[1], "b");
    ck_assert(ctl.json);
    ck_assert_uint_eq(ctl.bus_count, 2);
    ck_assert_str_eq(ctl.buses[1], "u2");
}
END_TEST

START_TEST(test_args_double_dash_ends_options)
{
    const char *const argv[] = {"--key", "f", "--", "--print", NULL};
    struct ctl_args args;
    struct ctl ctl;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert_str_eq(args.operands[0], "--print");
    ck_assert_ptr_null(ctl_arg(&args, "print"));
}
END_TEST

START_TEST(test_args_single_dash_is_an_operand)
{
    const char *const argv[] = {"--key", "f", "-", NULL};
    struct ctl_args args;
    struct ctl ctl;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert_str_eq(args.operands[0], "-");
}
END_TEST

START_TEST(test_args_help_needs_nothing_else)
{
    const char *const argv[] = {"--help", NULL};
    struct ctl_args args;
    struct ctl ctl;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert(args.help);
}
END_TEST

static const char *const bad[][8] = {
    {NULL},                                  /* no operand, no --key */
    {"a", NULL},                             /* no --key */
    {"--key", "f", NULL},                    /* no operand */
    {"a", "--key", NULL},                    /* no value */
    {"a", "--key", "f", "--key", "g", NULL}, /* twice */
    {"a", "--key", "f", "--nothing", NULL},  /* unknown */
    {"a", "--key", "f", "--print=x", NULL},  /* a flag has no value */
    {"a", "--key", "f", "-x", NULL},         /* no short options */
    {"a", "b", "c", "--key", "f", NULL},     /* too many operands */
    {"a", "--key", "f", "--bus", NULL},      /* global without value */
    {"a", "--key", "f", "--prefix", NULL},   /* global without value */
    {"a", "--key", "f", "--ke", "g", NULL},  /* no abbreviations */
};

START_TEST(test_args_refuse)
{
    struct ctl_args args;
    struct ctl ctl;

    ck_assert_int_eq(parse(&args, &ctl, bad[_i]), CTL_USAGE);
}
END_TEST

static const struct {
    const char *text;
    bool ok;
} numbers[] = {
    {"1", true},
    {"10", true},
    {"0", false},
    {"11", false},
    {"", false},
    {"-1", false},
    {"+1", false},
    {"1x", false},
    {" 1", false},
    {"0x1", false},
    {"99999999999999999999999", false},
};

START_TEST(test_args_numbers_are_decimal_and_in_range)
{
    const char *const argv[] = {"a", "--key", "f", "--keys", numbers[_i].text, NULL};
    struct ctl_args args;
    struct ctl ctl;
    uint64_t v = 77;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert_int_eq(ctl_arg_number(&args, "keys", (struct ctl_range){1, 10}, &v),
                     numbers[_i].ok ? CTL_OK : CTL_USAGE);
    ck_assert(numbers[_i].ok == (v != 77));
}
END_TEST

START_TEST(test_args_absent_number_leaves_the_default)
{
    const char *const argv[] = {"a", "--key", "f", NULL};
    struct ctl_args args;
    struct ctl ctl;
    uint64_t v = 77;

    ck_assert_int_eq(parse(&args, &ctl, argv), CTL_OK);
    ck_assert_int_eq(ctl_arg_number(&args, "keys", (struct ctl_range){1, 10}, &v), CTL_OK);
    ck_assert_uint_eq(v, 77);
}
END_TEST

START_TEST(test_args_worst_exit_code)
{
    static const enum ctl_exit order[] = {CTL_OK,          CTL_PENDING, CTL_REFUSED, CTL_TIMEOUT,
                                          CTL_UNREACHABLE, CTL_USAGE,   CTL_FAILED};

    for (int i = 0; i < COUNT(order); i++) {
        for (int j = 0; j <= i; j++) {
            ck_assert_int_eq(ctl_worse(order[i], order[j]), order[i]);
            ck_assert_int_eq(ctl_worse(order[j], order[i]), order[i]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/args");
    TCase *tc = tcase_create("args");

    tcase_add_test(tc, test_args_take_options_and_operands_in_any_order);
    tcase_add_test(tc, test_args_double_dash_ends_options);
    tcase_add_test(tc, test_args_single_dash_is_an_operand);
    tcase_add_test(tc, test_args_help_needs_nothing_else);
    tcase_add_loop_test(tc, test_args_refuse, 0, COUNT(bad));
    tcase_add_loop_test(tc, test_args_numbers_are_decimal_and_in_range, 0, COUNT(numbers));
    tcase_add_test(tc, test_args_absent_number_leaves_the_default);
    tcase_add_test(tc, test_args_worst_exit_code);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
