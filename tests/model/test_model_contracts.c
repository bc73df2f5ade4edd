/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No contract is lost or doubled, whatever fails, in all orders in which it can happen; and with
 * any one of the protections switched off there is a way to lose or double one, printed as the
 * shortest.
 *
 * NW_MODEL_FAULTS=<n> allows so many faults at once instead of what the scenes say.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/model/search.h"
#include "tests/support/suite.h"

#define SENT(order) (1u << (order))

/* What may fail in most scenes: everything, but the disk. */
#define ANY_FAULT                                                                                  \
    {                                                                                              \
        [FAULT_AGENT_KILLED] = 2, [FAULT_MODULE_KILLED] = 2, [FAULT_REPEAT] = 1, [FAULT_LOSE] = 1, \
        [FAULT_FLUSH] = 1, [FAULT_FAILOVER] = 1, [FAULT_FIELD] = 1, [FAULT_REPORTS] = 1,           \
        [FAULT_WAKE] = 1                                                                           \
    }

/* And in those with more faults at once. */
#define SOME_FAULTS                                                                                \
    {                                                                                              \
        [FAULT_AGENT_KILLED] = 1, [FAULT_MODULE_KILLED] = 1, [FAULT_REPEAT] = 1,                   \
        [FAULT_FLUSH] = 1, [FAULT_FAILOVER] = 1                                                    \
    }

enum {
    ONE,
    UPDATE,
    CANCEL,
    QUICK_UPDATE,
    QUICK_CANCEL,
    ORDERS_IN,
    OTHER_BYTES,
    LATE_DELETE,
    DISK,
    DISK_ALONE
};

static const struct scene scenes[] = {
    [ONE] = {.name = "one contract, every step of everybody",
             .orders = SENT(DEPLOY_V1),
             .faults = ANY_FAULT,
             .faults_in_all = 2},
    [UPDATE] = {.name = "an update, and every step from the assignment on",
                .orders = SENT(DEPLOY_V1) | SENT(DEPLOY_V2),
                .quick_intake = true,
                .faults = ANY_FAULT,
                .faults_in_all = 1},
    [CANCEL] = {.name = "a contract and its end, and every step from the assignment on",
                .orders = SENT(DEPLOY_V1) | SENT(DELETE_V1),
                .quick_intake = true,
                .faults = ANY_FAULT,
                .faults_in_all = 1},
    [QUICK_UPDATE] = {.name = "an update, in big steps, with more faults",
                      .orders = SENT(DEPLOY_V1) | SENT(DEPLOY_V2),
                      .quick_intake = true,
                      .quick_module = true,
                      .faults = SOME_FAULTS,
                      .faults_in_all = 2},
    [QUICK_CANCEL] = {.name = "a contract and its end, in big steps, with more faults",
                      .orders = SENT(DEPLOY_V1) | SENT(DELETE_V1),
                      .quick_intake = true,
                      .quick_module = true,
                      .faults = SOME_FAULTS,
                      .faults_in_all = 2},
    [ORDERS_IN] =
        {.name = "two orders on their way, and every step up to the assignment",
         .orders = SENT(DEPLOY_V1) | SENT(DEPLOY_V2),
         .quick_module = true,
         .faults =
             {[FAULT_AGENT_KILLED] = 2, [FAULT_REPEAT] = 1, [FAULT_LOSE] = 1, [FAULT_FLUSH] = 1},
         .faults_in_all = 2},
    [OTHER_BYTES] = {.name = "two texts with one version",
                     .orders = SENT(DEPLOY_V2) | SENT(DEPLOY_V2_OTHER),
                     .quick_module = true,
                     .faults = {[FAULT_AGENT_KILLED] = 1, [FAULT_REPEAT] = 1},
                     .faults_in_all = 2},
    [LATE_DELETE] = {.name = "a delete that is older than the contract",
                     .orders = SENT(DEPLOY_V2) | SENT(DELETE_V1),
                     .quick_module = true,
                     .faults = {[FAULT_AGENT_KILLED] = 1, [FAULT_REPEAT] = 1},
                     .faults_in_all = 2},
    [DISK] = {.name = "the agent's disk is lost, and perhaps the bus",
              .orders = SENT(DEPLOY_V1),
              .quick_intake = true,
              .faults = {[FAULT_AGENT_KILLED] = 1, [FAULT_FLUSH] = 1, [FAULT_DISK] = 1},
              .faults_in_all = 3},
    [DISK_ALONE] = {.name = "the agent's disk is lost, the bus is not",
                    .orders = SENT(DEPLOY_V1),
                    .quick_intake = true,
                    .faults = {[FAULT_AGENT_KILLED] = 1, [FAULT_DISK] = 1},
                    .faults_in_all = 2},
};

/* Where a protection is missed, and how people notice. */
static const struct {
    const char *without;
    int scene;
    const char *broken;
} needs[PROTECTIONS] = {
    [PROTECT_PENDING] = {"keeping a taken order on the bus", ONE,
                         "an order that the bus did not lose is never answered"},
    [PROTECT_ACK_AFTER_COMMIT] = {"commit before acknowledgement", ONE,
                                  "an order that the bus did not lose is never answered"},
    [PROTECT_ACK_AFTER_ANSWER] = {"answer with acknowledgement", ONE,
                                  "an order that the bus did not lose is never answered"},
    [PROTECT_COMMIT_BEFORE_ANSWER] = {"commit before answer", ONE,
                                      "a contract answered as accepted is lost"},
    [PROTECT_TRANSACTION] = {"contract and assignment in one transaction", ONE,
                             "what is desired is not applied"},
    [PROTECT_SAME_BYTES] = {"\"unchanged\" for the same bytes", ONE,
                            "what is in force was answered as refused"},
    [PROTECT_HASH] = {"the hash in the idempotency key", OTHER_BYTES,
                      "a contract answered as accepted is lost"},
    [PROTECT_RISING_VERSION] = {"rising versions", ORDERS_IN,
                                "an older version overwrote a newer one"},
    [PROTECT_DELETE_VERSION] = {"the version of a delete", LATE_DELETE,
                                "the delete of an older version cancelled a newer one"},
    [PROTECT_TOMBSTONE] = {"tombstones", CANCEL, "a cancelled contract came back"},
    [PROTECT_GONE_UNTIL_HEARD] = {"saying gone until it is heard", CANCEL,
                                  "a cancelled contract is still served"},
    [PROTECT_REPORT_REV] = {"the rev in reports", UPDATE,
                            "a version is shown as ok that is not served"},
    [PROTECT_SAME_RESULT] = {"comparing a result with the last", ONE,
                             "the tenant saw one version become ok twice"},
    [PROTECT_AGENT_LEVEL] = {"the agent looking at the bus", ONE, "what is desired is not applied"},
    [PROTECT_RENEW] = {"a new epoch when reports were lost", ONE,
                       "what is served is never shown as ok"},
    [PROTECT_EPOCH] = {"epochs", DISK_ALONE, "what is served is never shown as ok"},
    [PROTECT_AGENT_LOCK] = {"the lock of the state folder", ONE,
                            "two agents work on one state folder"},
    [PROTECT_ADOPT] = {"adopting a live module", ONE, "two modules serve for one agent"},
    [PROTECT_NEWER_ONLY] = {"taking over only what is newer", UPDATE,
                            "the route went back to an older version"},
    [PROTECT_FIELD_HASH] = {"the hash of an assignment", ONE,
                            "something is served that nobody signed"},
    [PROTECT_DIGEST] = {"the digest of the assignments", ONE, "what is desired is not applied"},
    [PROTECT_RESYNC] = {"asking for everything again", ONE, "what is desired is not applied"},
    [PROTECT_ONLY_GONE] = {"deleting only what is gone", DISK_ALONE,
                           "a route vanished without \"gone\""},
    [PROTECT_MODULE_LEVEL] = {"the module looking by itself", ONE,
                              "what is desired is not applied"},
    [PROTECT_LAST_KNOWN_GOOD] = {"the last known good on the disk", ONE,
                                 "what was shown as ok is not served after a restart"},
    [PROTECT_SAVED_MARK] = {"the mark beside it", QUICK_CANCEL,
                            "the route of a cancelled contract came back"},
    [PROTECT_SAVED_BEFORE_REPORT] = {"saving before reporting", ONE,
                                     "a version is shown as ok that is not served"},
    [PROTECT_SAME_SPEC] = {"not applying the same spec again", ONE,
                           "what was served already was applied once more"},
};

/* As the environment wants it; a sanitized build is slow and looks at less. */
static struct scene bounded(struct scene scene)
{
    const char *faults = getenv("NW_MODEL_FAULTS");

    if (faults != NULL)
        scene.faults_in_all = (uint8_t)atoi(faults);
#ifdef NW_MODEL_SMALL
    else
        scene.faults_in_all /= 2;
#endif
    return scene;
}

START_TEST(test_nothing_is_lost_or_doubled_whatever_fails)
{
    struct scene scene = bounded(scenes[_i]);
    struct model m = {.scene = &scene};
    struct search_result result = search_run(&m);

    printf("%s, %d faults: %u states, up to %u steps\n", scene.name, scene.faults_in_all,
           result.states, result.depth);
    if (result.broken != NULL)
        search_print(&m, &result);
    ck_assert_msg(result.broken == NULL, "%s", result.broken);
}
END_TEST

START_TEST(test_every_protection_is_needed)
{
    struct model m = {.scene = &scenes[needs[_i].scene], .off = 1u << _i};
    struct search_result result = search_run(&m);

    ck_assert_msg(result.broken != NULL, "nothing breaks without %s", needs[_i].without);
    printf("without %s:\n", needs[_i].without);
    search_print(&m, &result);
    ck_assert_str_eq(result.broken, needs[_i].broken);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/contracts");
    TCase *tc = tcase_create("contracts");

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, test_nothing_is_lost_or_doubled_whatever_fails, 0, COUNT(scenes));
    tcase_add_loop_test(tc, test_every_protection_is_needed, 0, PROTECTIONS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
