/* SPDX-License-Identifier: Apache-2.0 */
/* Errands end exactly once: at once, when the module answered, when time is over, or never. */
#include "node-agent/errand.h"

#include <ev.h>

#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;
static struct ev_loop *loop;
static struct agent_waits *waits;
static struct agent_desk desk;
static struct agent_errand *errand;
static unsigned done;
static json_t *got; /* data of the last end */
static enum sch_code code;

static void on_touch(void *arg, const struct agent_touch *touch)
{
    (void)arg;
    agent_waits_touch(waits, touch->id);
}

static void on_commit(void *arg)
{
    (void)arg;
    agent_waits_look(waits);
}

static void on_done(void *arg, json_t *data, const struct sch_report *report)
{
    ck_assert_ptr_eq(arg, &done);
    errand = NULL;
    done++;
    json_decref(got);
    got = data;
    code = data == NULL ? report->code : SCH_OK;
}

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(agent_waits_new(&waits, loop, &f.core), ERR_OK);
    f.core.on_touch = on_touch;
    f.core.on_commit = on_commit;
    desk = (struct agent_desk){.core = &f.core};
    done = 0;
    got = NULL;
    errand = NULL;
}

static void teardown(void)
{
    agent_errand_cancel(errand);
    json_decref(got);
    agent_waits_free(waits);
    ev_loop_destroy(loop);
    fixture_close(&f);
}

/* ARGUMENTS is taken. */
static void start(const char *command, json_t *arguments, uint64_t wait_ms)
{
    struct agent_errand_config cfg = {
        .desk = &desk,
        .waits = waits,
        .verb = agent_verb_find(command),
        .arguments = arguments,
        .id = "t",
        .wait_ms = wait_ms,
        .on_done = on_done,
        .arg = &done,
    };

    ck_assert_int_eq(agent_errand_start(&errand, &cfg), ERR_OK);
    json_decref(arguments);
}

static json_t *blog(void)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));

    return fixture_sign(fixture_contract(7, 1, 0, list), 7);
}

static const char *state_of(const json_t *deployment)
{
    const json_t *w = json_array_get(json_object_get(deployment, "workloads"), 0);

    return json_string_value(json_object_get(json_object_get(w, "result"), "state"));
}

START_TEST(test_question_is_answered_at_once)
{
    start("core.ping", json_object(), 0);
    ck_assert_uint_eq(done, 1);
    ck_assert(json_is_string(got));
}
END_TEST

START_TEST(test_refusal_ends_it_at_once)
{
    start("zos.deployment.deploy", json_object(), 60000);
    ck_assert_uint_eq(done, 1);
    ck_assert_ptr_null(got);
    ck_assert_int_eq(code, SCH_MALFORMED);
}
END_TEST

START_TEST(test_change_ends_with_the_answer_of_the_module)
{
    start("zos.deployment.deploy", blog(), 60000);
    ck_assert_uint_eq(done, 0);
    ck_assert_ptr_nonnull(errand);
    fixture_answer(&f, SCH_STATE_OK);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
    ck_assert_str_eq(state_of(got), "ok");
}
END_TEST

START_TEST(test_time_ends_it_with_what_there_is)
{
    start("zos.deployment.deploy", blog(), 1);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
    ck_assert_str_eq(state_of(got), "init");
}
END_TEST

START_TEST(test_cancelled_errand_calls_nobody_and_takes_nothing_back)
{
    start("zos.deployment.deploy", blog(), 1);
    agent_errand_cancel(errand);
    errand = NULL;
    fixture_answer(&f, SCH_STATE_OK);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_OK);
    agent_errand_cancel(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/errand");
    TCase *tc = tcase_create("errand");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_question_is_answered_at_once);
    tcase_add_test(tc, test_refusal_ends_it_at_once);
    tcase_add_test(tc, test_change_ends_with_the_answer_of_the_module);
    tcase_add_test(tc, test_time_ends_it_with_what_there_is);
    tcase_add_test(tc, test_cancelled_errand_calls_nobody_and_takes_nothing_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
