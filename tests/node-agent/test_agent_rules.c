/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of everything that tenants, authorities, time and restarts do, against a small
 * model of the rules (INTERFACE sections 3 and 4): each answer, and after each step who is served
 * what, must be the model's. NW_RULES_SEEDS=N runs N sequences instead of a few.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

#define TWINS 3
#define CONTRACTS 3
#define WORKLOADS 2
#define STEPS 150
#define SEEDS 10
#define QUARANTINE_S 1000
#define REPLAYS 16

/* Names under the domain, then hosts; the last one is the wildcard over two of them. */
static const char *const hosts[] = {"n0", "n1", "n2", "a.z.org", "b.z.org", "*.z.org"};
#define HOSTS COUNT(hosts)
enum { FIRST_FQDN = 3, HOST_A = 3, HOST_WILD = 5 };
/* What grants reserve. */
enum { RESERVE_N0 = 1, RESERVE_Z = 2, RESERVE_A = 4 };

/* A version of a contract; equal ones have equal bytes. */
struct doc {
    unsigned twin, contract, version;
    unsigned host[WORKLOADS], count;
    bool left; /* names another node only */
    uint64_t expiration;
};

enum ended { LIVE, EXPIRED, MOVED, REVOKED };

static struct {
    uint64_t now;
    struct {
        bool known, admitted;
        uint64_t serial, not_after;
        unsigned limit, reserved;
        bool locked[CONTRACTS + 1]; /* 0 = the whole twin */
        uint64_t lock_serial[CONTRACTS + 1];
        struct {
            bool known, cancelled;
            enum ended ended;
            struct doc doc;
            bool seen[WORKLOADS]; /* the workload was there once */
        } contract[CONTRACTS + 1];
    } twin[TWINS + 1];
    struct {
        unsigned twin, contract;
        bool live;
        uint64_t until;
    } claim[HOSTS];
} m;

static struct fixture f;
static uint64_t dice;
static struct doc replays[REPLAYS];
static unsigned replay_count;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)((dice >> 11) % sides);
}

/* ---- the model ---- */

static bool in_force(unsigned twin, unsigned contract)
{
    return m.twin[twin].contract[contract].known && !m.twin[twin].contract[contract].cancelled &&
           m.twin[twin].contract[contract].ended == LIVE;
}

static bool holds(size_t host, unsigned twin, unsigned contract)
{
    return m.claim[host].live && m.claim[host].twin == twin && m.claim[host].contract == contract;
}

static bool wants(const struct doc *doc, size_t host)
{
    for (unsigned i = 0; i < doc->count; i++) {
        if (doc->host[i] == host)
            return true;
    }
    return false;
}

/* What the contract holds, but what KEEP wants, is released. */
static void let_go(unsigned twin, unsigned contract, const struct doc *keep)
{
    for (size_t h = 0; h < HOSTS; h++) {
        if (!holds(h, twin, contract) || (keep != NULL && wants(keep, h)))
            continue;
        m.claim[h].live = false;
        m.claim[h].until = m.now + QUARANTINE_S;
    }
}

static void end(unsigned twin, unsigned contract, enum ended why)
{
    let_go(twin, contract, NULL);
    m.twin[twin].contract[contract].ended = why;
}

static bool reserved(unsigned bit)
{
    return ((m.twin[1].reserved | m.twin[2].reserved | m.twin[3].reserved) & bit) != 0;
}

static bool reserved_for_other(unsigned twin, unsigned bit)
{
    return reserved(bit) && (m.twin[twin].reserved & bit) == 0;
}

static bool may_not_have(unsigned twin, size_t host)
{
    if (host < FIRST_FQDN)
        return host == 0 && reserved_for_other(twin, RESERVE_N0);
    if (host == HOST_A && reserved(RESERVE_A))
        return reserved_for_other(twin, RESERVE_A);
    return (host == HOST_WILD && reserved_for_other(twin, RESERVE_A)) ||
           reserved_for_other(twin, RESERVE_Z);
}

/* A claim on HOST, live or kept, of a twin that is not TWIN. */
static bool of_other(size_t host, unsigned twin)
{
    return m.claim[host].twin != 0 && m.claim[host].twin != twin &&
           (m.claim[host].live || m.claim[host].until > m.now);
}

static bool is_taken(const struct doc *doc, size_t host)
{
    if (m.claim[host].live && !holds(host, doc->twin, doc->contract))
        return true;
    if (of_other(host, doc->twin))
        return true;
    if (host == HOST_WILD)
        return of_other(HOST_A, doc->twin) || of_other(HOST_A + 1, doc->twin);
    return host >= FIRST_FQDN && of_other(HOST_WILD, doc->twin);
}

static enum sch_code judge_names(const struct doc *doc)
{
    for (unsigned i = 0; i < doc->count; i++) {
        size_t host = doc->host[i];

        if (!holds(host, doc->twin, doc->contract) && may_not_have(doc->twin, host))
            return SCH_RESERVED_NAME;
        if (is_taken(doc, host))
            return SCH_NAME_CONFLICT;
    }
    return SCH_OK;
}

static bool over_quota(const struct doc *doc)
{
    unsigned here = 0, elsewhere = 0;

    for (unsigned c = 1; c <= CONTRACTS; c++) {
        if (in_force(doc->twin, c))
            *(c == doc->contract ? &here : &elsewhere) += m.twin[doc->twin].contract[c].doc.count;
    }
    return doc->count > here && elsewhere + doc->count > m.twin[doc->twin].limit;
}

static bool may_deploy(unsigned twin)
{
    return m.twin[twin].known && m.twin[twin].admitted &&
           (m.twin[twin].not_after == 0 || m.twin[twin].not_after > m.now);
}

static void store(const struct doc *doc)
{
    let_go(doc->twin, doc->contract, doc->left ? NULL : doc);
    m.twin[doc->twin].contract[doc->contract].known = true;
    m.twin[doc->twin].contract[doc->contract].doc = *doc;
    m.twin[doc->twin].contract[doc->contract].ended = doc->left ? MOVED : LIVE;
    for (unsigned i = 0; i < doc->count && !doc->left; i++) {
        m.claim[doc->host[i]].twin = doc->twin;
        m.claim[doc->host[i]].contract = doc->contract;
        m.claim[doc->host[i]].live = true;
        m.twin[doc->twin].contract[doc->contract].seen[i] = true;
    }
}

static enum sch_code model_deploy(const struct doc *doc)
{
    bool known = m.twin[doc->twin].contract[doc->contract].known;
    const struct doc *old = &m.twin[doc->twin].contract[doc->contract].doc;
    bool same = known && memcmp(old, doc, sizeof(*doc)) == 0;
    enum sch_code code;

    if (doc->left && !known)
        return SCH_WRONG_NODE;
    if (!may_deploy(doc->twin))
        return SCH_UNKNOWN_TWIN;
    if (doc->expiration != 0 && doc->expiration <= m.now)
        return SCH_EXPIRED;
    if (m.twin[doc->twin].contract[doc->contract].cancelled)
        return SCH_CONTRACT_DELETED;
    if (known && !same && doc->version <= old->version)
        return SCH_VERSION_CONFLICT;
    if (same && (doc->left || in_force(doc->twin, doc->contract)))
        return SCH_OK;
    if (!doc->left && over_quota(doc))
        return SCH_QUOTA_EXCEEDED;
    code = doc->left ? SCH_OK : judge_names(doc);
    if (code == SCH_OK)
        store(doc);
    return code;
}

static enum sch_code model_delete(unsigned twin, unsigned contract, unsigned version)
{
    if (!m.twin[twin].known)
        return SCH_UNKNOWN_TWIN;
    if (m.twin[twin].contract[contract].cancelled)
        return SCH_OK;
    if (!m.twin[twin].contract[contract].known)
        return SCH_UNKNOWN;
    if (version < m.twin[twin].contract[contract].doc.version)
        return SCH_VERSION_CONFLICT;
    let_go(twin, contract, NULL);
    m.twin[twin].contract[contract].cancelled = true;
    return SCH_OK;
}

static void model_pass(uint64_t seconds)
{
    m.now += seconds;
    for (unsigned t = 1; t <= TWINS; t++) {
        for (unsigned c = 1; c <= CONTRACTS; c++) {
            uint64_t at = m.twin[t].contract[c].doc.expiration;

            if (in_force(t, c) && at != 0 && at <= m.now)
                end(t, c, EXPIRED);
        }
    }
}

/* ---- the same for both ---- */

static json_t *document(const struct doc *doc)
{
    json_t *list = json_array(), *json;

    for (unsigned i = 0; i < doc->count; i++) {
        char name[4] = {'w', (char)('0' + i), '\0'};

        json_array_append_new(list, doc->host[i] < FIRST_FQDN
                                        ? fixture_workload(name, hosts[doc->host[i]])
                                        : fixture_fqdn(name, hosts[doc->host[i]]));
    }
    json = fixture_contract(doc->twin, doc->contract, doc->version, list);
    if (doc->left)
        json_object_set_new(json, "nodes", json_pack("[s]", "gw2"));
    json_object_set_new(json, "expiration", json_integer((json_int_t)doc->expiration));
    return fixture_sign(json, doc->twin);
}

static void deploy(const struct doc *doc)
{
    enum sch_code want = model_deploy(doc), got = fixture_deploy(&f, document(doc));

    ck_assert_msg(got == want, "deploy %u-%u v%u: %s, want %s (%s)", doc->twin, doc->contract,
                  doc->version, sch_code_text(got), sch_code_text(want), f.report.why);
}

static void random_deploy(void)
{
    struct doc doc;
    unsigned version;

    memset(&doc, 0, sizeof(doc)); /* compared as bytes */
    doc.twin = 1 + roll(TWINS);
    doc.contract = 1 + roll(CONTRACTS);
    version = m.twin[doc.twin].contract[doc.contract].doc.version;
    doc.version = version + roll(4) - (version > 0 ? 1 : 0);
    doc.count = 1 + roll(WORKLOADS);
    doc.host[0] = roll(HOSTS);
    if (doc.count > 1)
        doc.host[1] = (doc.host[0] + 1 + roll(HOSTS - 1)) % HOSTS;
    doc.left = roll(8) == 0;
    doc.expiration = roll(4) == 0 ? m.now + roll(400) : 0;
    replays[replay_count++ % REPLAYS] = doc;
    deploy(&doc);
}

static void random_delete(void)
{
    unsigned twin = 1 + roll(TWINS), contract = 1 + roll(CONTRACTS);
    unsigned version = m.twin[twin].contract[contract].doc.version;
    enum sch_code want, got;

    if (roll(3) == 0 && version > 0)
        version--;
    want = model_delete(twin, contract, version);
    got = fixture_delete_contract(&f, fixture_delete(twin, contract, version));
    ck_assert_msg(got == want, "delete %u-%u: %s, want %s", twin, contract, sch_code_text(got),
                  sch_code_text(want));
}

/* A serial that rises, or one that was passed already. */
static bool next_serial(uint64_t *last, uint64_t *out)
{
    bool old = *last > 1 && roll(8) == 0;

    *out = old ? *last - 1 : *last + 1;
    if (!old)
        *last = *out;
    return !old;
}

static void state(enum sch_statement_kind kind, json_t *doc, bool good)
{
    enum sch_code got = fixture_state(&f, kind, fixture_sign_as(doc, kind, 0));

    ck_assert_msg(got == (good ? SCH_OK : SCH_VERSION_CONFLICT), "statement: %s",
                  sch_code_text(got));
}

static void random_grant(void)
{
    unsigned twin = 1 + roll(TWINS), limit = 1 + roll(4), bits = roll(4) == 0 ? 1u << roll(3) : 0;
    uint64_t serial, not_after = roll(5) == 0 ? m.now + 1 + roll(600) : 0;
    bool good = next_serial(&m.twin[twin].serial, &serial);
    json_t *doc = fixture_grant(twin, serial);

    json_object_set_new(json_object_get(doc, "limits"), "exposures", json_integer(limit));
    json_object_set_new(doc, "not_after", json_integer((json_int_t)not_after));
    json_object_set_new(doc, "names", json_pack("[s*]", bits == RESERVE_N0 ? "n0" : NULL));
    json_object_set_new(doc, "domains",
                        json_pack("[s*]", bits == RESERVE_Z   ? "z.org"
                                          : bits == RESERVE_A ? "a.z.org"
                                                              : NULL));
    state(SCH_GRANT, doc, good);
    if (!good)
        return;
    m.twin[twin].known = m.twin[twin].admitted = true;
    m.twin[twin].not_after = not_after;
    m.twin[twin].limit = limit;
    m.twin[twin].reserved = bits;
}

static void random_revocation(void)
{
    unsigned twin = 1 + roll(TWINS);
    uint64_t serial;
    bool good = next_serial(&m.twin[twin].serial, &serial);

    state(SCH_REVOKE, fixture_revocation(twin, serial), good);
    if (!good || !m.twin[twin].known)
        return;
    m.twin[twin].admitted = false;
    m.twin[twin].reserved = 0;
    for (unsigned c = 1; c <= CONTRACTS; c++) {
        if (in_force(twin, c))
            end(twin, c, REVOKED);
    }
}

static void random_lock(void)
{
    unsigned twin = 1 + roll(TWINS), contract = roll(CONTRACTS + 1);
    uint64_t serial;
    bool on = roll(2) == 0, good = next_serial(&m.twin[twin].lock_serial[contract], &serial);

    state(SCH_LOCK, fixture_lock(twin, contract, serial, on), good);
    if (good)
        m.twin[twin].locked[contract] = on;
}

static void pass(void)
{
    model_pass(1 + roll(roll(3) == 0 ? 2 * QUARANTINE_S : 300));
    fixture_pass(&f, m.now);
}

static void step(void)
{
    unsigned what = roll(20);

    if (what < 9)
        random_deploy();
    else if (what < 11 && replay_count > 0)
        deploy(&replays[roll(replay_count < REPLAYS ? replay_count : REPLAYS)]);
    else if (what < 12)
        random_delete();
    else if (what < 15)
        random_grant();
    else if (what < 16)
        random_revocation();
    else if (what < 18)
        random_lock();
    else if (what < 19)
        pass();
    else
        fixture_reopen(&f);
}

/* ---- what is served ---- */

static void check_workload(unsigned t, unsigned c, unsigned i)
{
    bool served = in_force(t, c) && i < m.twin[t].contract[c].doc.count;
    bool paused = m.twin[t].locked[0] || m.twin[t].locked[c] ||
                  (m.twin[t].not_after != 0 && m.twin[t].not_after <= m.now);
    enum sch_state want = !m.twin[t].contract[c].seen[i] ? SCH_STATES
                          : !served                      ? SCH_STATE_DELETED
                          : paused                       ? SCH_STATE_PAUSED
                                                         : SCH_STATE_INIT;
    char id[32], entry[64] = "%";

    snprintf(id, sizeof(id), "%u-%u-w%u", t, c, i);
    ck_assert_msg(fixture_workload_state(&f, id) == want, "%s is %d, want %d", id,
                  (int)fixture_workload_state(&f, id), (int)want);
    if (served)
        snprintf(entry, sizeof(entry), "%%\"%s\"%%\"paused\":%s%%",
                 hosts[m.twin[t].contract[c].doc.host[i]], paused ? "true" : "false");
    ck_assert_msg(agent_db_number(f.core.db, -1,
                                  "SELECT count(*) FROM assignments WHERE id = ? AND gone = 0"
                                  " AND entry LIKE ?",
                                  "tt", id, entry) == served,
                  "%s is not told as %s", id, entry);
}

static void check_all(void)
{
    size_t live = 0;

    for (unsigned t = 1; t <= TWINS; t++)
        for (unsigned c = 1; c <= CONTRACTS; c++)
            for (unsigned i = 0; i < WORKLOADS; i++)
                check_workload(t, c, i);
    for (size_t h = 0; h < HOSTS; h++)
        live += m.claim[h].live;
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims WHERE id <> ''"),
                     (int64_t)live);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims WHERE until = -1"), 0);
}

static void sequence(unsigned seed)
{
    memset(&m, 0, sizeof(m));
    replay_count = 0;
    dice = 0x9e3779b97f4a7c15u * (seed + 1);
    fixture_open(&f);
    f.config.name_quarantine_ms = QUARANTINE_S * 1000;
    fixture_register(&f);
    m.now = clock_unix_ms() / 1000 + 1000000; /* ahead of the clock, so that only we move it */
    fixture_pass(&f, m.now);
    for (unsigned t = 1; t <= TWINS; t++) {
        fixture_admit(&f, t);
        m.twin[t].known = m.twin[t].admitted = true;
        m.twin[t].serial = 1;
        m.twin[t].limit = 10;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        check_all();
    }
    fixture_close(&f);
}

START_TEST(test_every_sequence_ends_as_the_model_says)
{
    const char *seeds = getenv("NW_RULES_SEEDS");
    unsigned count = seeds != NULL ? (unsigned)strtoul(seeds, NULL, 10) : SEEDS;

    for (unsigned seed = 0; seed < count; seed++) {
        fprintf(stderr, "seed %u\n", seed);
        sequence(seed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/rules");
    TCase *tc = tcase_create("model");

    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, test_every_sequence_ends_as_the_model_says);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
