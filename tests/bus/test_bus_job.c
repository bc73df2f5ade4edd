/* SPDX-License-Identifier: Apache-2.0 */
/* One request under work: its copy, its one answer, its time limit, a server that goes away. */
#include "bus/job.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/bus/loop.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static struct bus_job *job;
static int overs;
static bool last_failed;
static char last_id[BUS_WIRE_NAME_MAX + 1], last_list[BUS_WIRE_NAME_MAX + 1], last_error[160],
    last_protocol[160];
static uint8_t last_data[16];
static size_t last_len;

static void on_over(void *arg, struct bus_job *over, const struct bus_wire_response *response,
                    const char *list)
{
    (void)arg;
    ck_assert_ptr_eq(over, job);
    overs++;
    last_failed = response->failed;
    last_len = response->data_len;
    ck_assert_uint_le(last_len, sizeof(last_data));
    if (last_len > 0)
        memcpy(last_data, response->data, last_len);
    snprintf(last_id, sizeof(last_id), "%s", response->id);
    snprintf(last_list, sizeof(last_list), "%s", list);
    snprintf(last_error, sizeof(last_error), "%.*s", (int)response->error_len,
             response->error != NULL ? response->error : "");
    snprintf(last_protocol, sizeof(last_protocol), "%.*s", (int)response->protocol_len,
             response->protocol != NULL ? response->protocol : "");
}

/* A job with the inputs "a" and a broken one, whose request is gone when this returns. */
static void start(uint32_t limit_ms, uint64_t deadline_ms)
{
    uint8_t good[] = {0xa1, 'a'}, broken[] = {0xc1};
    struct bus_wire_request request = {.id = "id-1",
                                       .reply_to = "list-1",
                                       .object = "manager",
                                       .version = "0.0.1",
                                       .method = "Do",
                                       .deadline_ms = deadline_ms,
                                       .input_count = 2};
    struct bus_job_config cfg = {
        .loop = loop, .limit_ms = limit_ms, .request = &request, .on_over = on_over};

    request.inputs[0] = (struct bus_wire_input){.data = good, .len = sizeof(good)};
    request.inputs[1] = (struct bus_wire_input){.data = broken, .len = sizeof(broken)};
    ck_assert_int_eq(bus_job_new(&job, &cfg), ERR_OK);
    memset(&request, 'x', sizeof(request));
    memset(good, 0xc1, sizeof(good));
}

static void set_up(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    overs = 0;
}

static void tear_down(void)
{
    ev_loop_destroy(loop);
}

START_TEST(test_job_owns_a_copy_of_its_request)
{
    char text[64];

    start(60000, 0);
    ck_assert_str_eq(bus_job_id(job), "id-1");
    ck_assert_uint_eq(bus_job_inputs(job), 2);
    bus_job_action(job, text, sizeof(text));
    ck_assert_str_eq(text, "[manager@0.0.1].Do()");
    ck_assert(bus_node_copy(bus_job_input(job, 0), text, sizeof(text)));
    ck_assert_str_eq(text, "a");
    ck_assert_ptr_null(bus_job_input(job, 1));
    ck_assert_ptr_null(bus_job_input(job, 2));
    bus_job_answer(job, NULL, NULL);
}
END_TEST

START_TEST(test_job_void_answer_is_nil)
{
    start(60000, 0);
    bus_job_answer(job, NULL, NULL);
    ck_assert_int_eq(overs, 1);
    ck_assert_str_eq(last_id, "id-1");
    ck_assert_str_eq(last_list, "list-1");
    ck_assert(!last_failed);
    ck_assert_uint_eq(last_len, 1);
    ck_assert_uint_eq(last_data[0], 0xc0);
    loop_run_ms(loop, 10);
    ck_assert_int_eq(overs, 1);
}
END_TEST

START_TEST(test_job_answers_result_and_error)
{
    struct bus_pack *result = NULL;

    ck_assert_int_eq(bus_pack_new(&result), ERR_OK);
    bus_pack_int(result, 7);
    start(60000, 0);
    bus_job_answer(job, result, _i == 0 ? "no luck" : "");
    ck_assert_int_eq(overs, 1);
    ck_assert(last_failed);
    ck_assert_str_eq(last_error, _i == 0 ? "no luck" : "error");
    ck_assert_uint_eq(last_len, 1);
    ck_assert_uint_eq(last_data[0], 7);
    bus_pack_free(result);
}
END_TEST

START_TEST(test_job_result_that_failed_is_an_error)
{
    struct bus_pack *result = NULL;

    ck_assert_int_eq(bus_pack_new(&result), ERR_OK); /* nothing was written */
    start(60000, 0);
    bus_job_answer(job, result, NULL);
    ck_assert(last_failed);
    ck_assert_str_eq(last_error, "the result is too large");
    ck_assert_uint_eq(last_data[0], 0xc0);
    bus_pack_free(result);
}
END_TEST

START_TEST(test_job_bad_input_is_a_protocol_error)
{
    start(60000, 0);
    bus_job_bad_input(job, 1, "string");
    ck_assert_int_eq(overs, 1);
    ck_assert(!last_failed);
    ck_assert_str_eq(last_protocol, "invalid argument type [1] expecting string got");
}
END_TEST

START_TEST(test_job_fails_as_its_method_says)
{
    start(60000, 0);
    bus_job_fail(job, "remote method call x.Do() paniced: no");
    ck_assert_int_eq(overs, 1);
    ck_assert(!last_failed);
    ck_assert_uint_eq(last_len, 0);
    ck_assert_str_eq(last_protocol, "remote method call x.Do() paniced: no");
}
END_TEST

START_TEST(test_job_limit_answers_for_the_method)
{
    start(10, 0);
    ck_assert(!bus_job_is_late(job));
    LOOP_UNTIL(loop, overs == 1);
    ck_assert(last_failed);
    ck_assert_str_eq(last_error, "timed out");
    ck_assert(bus_job_is_late(job));
    bus_job_answer(job, NULL, NULL); /* goes nowhere */
    ck_assert_int_eq(overs, 1);
}
END_TEST

/* What the caller has left counts when it is less than our own limit, and only then. */
START_TEST(test_job_deadline_bounds_it)
{
    start(_i == 0 ? 60000 : 20, clock_unix_ms() + (_i == 0 ? 20 : 60000));
    ck_assert(!bus_job_is_late(job));
    LOOP_UNTIL(loop, overs == 1);
    ck_assert_str_eq(last_error, "timed out");
    ck_assert(bus_job_is_late(job));
    bus_job_answer(job, NULL, NULL);
    ck_assert_int_eq(overs, 1);
}
END_TEST

START_TEST(test_job_is_late_after_the_callers_deadline)
{
    start(60000, 1);
    ck_assert(bus_job_is_late(job));
    ck_assert_int_eq(overs, 0);
    bus_job_answer(job, NULL, NULL);
    ck_assert_int_eq(overs, 1);
}
END_TEST

START_TEST(test_job_lives_on_without_its_server)
{
    start(10, 0);
    bus_job_detach(job);
    loop_run_ms(loop, 30);
    ck_assert_int_eq(overs, 0);
    ck_assert(bus_job_is_late(job));
    ck_assert_ptr_nonnull(bus_job_input(job, 0));
    bus_job_answer(job, NULL, NULL);
    ck_assert_int_eq(overs, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/job");
    TCase *tc = tcase_create("job");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_job_owns_a_copy_of_its_request);
    tcase_add_test(tc, test_job_void_answer_is_nil);
    tcase_add_loop_test(tc, test_job_answers_result_and_error, 0, 2);
    tcase_add_test(tc, test_job_result_that_failed_is_an_error);
    tcase_add_test(tc, test_job_bad_input_is_a_protocol_error);
    tcase_add_test(tc, test_job_fails_as_its_method_says);
    tcase_add_test(tc, test_job_limit_answers_for_the_method);
    tcase_add_loop_test(tc, test_job_deadline_bounds_it, 0, 2);
    tcase_add_test(tc, test_job_is_late_after_the_callers_deadline);
    tcase_add_test(tc, test_job_lives_on_without_its_server);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
