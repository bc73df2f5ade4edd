/* SPDX-License-Identifier: Apache-2.0 */
/* The state file: round trip, every kind of damage, other versions, other boots. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/gateway/snapshot.h"
#include "tests/support/suite.h"

static struct gw_store *store;
static char *text;
static size_t text_len;
static char why[GW_SNAPSHOT_WHY_MAX];

static struct gw_entry *add(enum gw_owner owner, const char *id, const char *spec, uint16_t port)
{
    struct gw_entry *entry = NULL;

    ck_assert_int_eq(gw_store_obtain(store, &entry, owner, id), ERR_OK);
    ck_assert_int_eq(gw_entry_set_spec(entry, spec, strlen(spec)), ERR_OK);
    entry->port = port;
    entry->epoch = 3;
    entry->rev = 40;
    memset(entry->hash, 0xab, sizeof(entry->hash));
    return entry;
}

static void setup(void)
{
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    add(GW_OWNER_AGENT, "7-1-a", "{\"name\":\"caf\xc3\xa9\"}", 0);
    add(GW_OWNER_AGENT, "7-1-b", "{}", 20001)->verified = true;
    gw_store_find(store, GW_OWNER_AGENT, "7-1-b")->late = true;
    add(GW_OWNER_AGENT, "7-1-c", "", 0)->gone = true;
    add(GW_OWNER_ZBUS, "7-1-a", "{\"zbus\":1}", 0);
    gw_store_set_mark(store, (struct gw_mark){3, 41});
    ck_assert_int_eq(gw_snapshot_encode(store, "boot-1", &text, &text_len), ERR_OK);
}

static void teardown(void)
{
    free(text);
    gw_store_free(store);
}

static struct gw_snapshot_found found;

static struct gw_store *decoded(const char *data, size_t len, const char *boot, int want_rc,
                                size_t *bad)
{
    struct gw_store *out = NULL;
    struct gw_snapshot_text in = {data, len};

    ck_assert_int_eq(gw_store_new(&out), ERR_OK);
    ck_assert_int_eq(gw_snapshot_decode(out, boot, &in, &found, why), want_rc);
    if (bad != NULL)
        *bad = found.bad;
    return out;
}

START_TEST(test_snapshot_round_trip)
{
    size_t bad = 9;
    struct gw_store *back = decoded(text, text_len, "boot-1", ERR_OK, &bad);
    struct gw_entry *b = gw_store_find(back, GW_OWNER_AGENT, "7-1-b");

    ck_assert_uint_eq(bad, 0);
    ck_assert_uint_eq(gw_store_count(back), 4);
    ck_assert_uint_eq(gw_store_mark(back).rev, 41);
    ck_assert_ptr_nonnull(b);
    ck_assert(b->late && !gw_store_find(back, GW_OWNER_AGENT, "7-1-a")->late);
    ck_assert_uint_eq(b->port, 20001);
    ck_assert(b->verified && !b->gone);
    ck_assert_uint_eq(b->epoch, 3);
    ck_assert_uint_eq(b->hash[31], 0xab);
    ck_assert_str_eq(gw_store_find(back, GW_OWNER_AGENT, "7-1-a")->spec,
                     "{\"name\":\"caf\xc3\xa9\"}");
    ck_assert_str_eq(gw_store_find(back, GW_OWNER_ZBUS, "7-1-a")->spec, "{\"zbus\":1}");
    ck_assert(gw_store_find(back, GW_OWNER_AGENT, "7-1-c")->gone);
    gw_store_free(back);
}
END_TEST

START_TEST(test_snapshot_zbus_entries_end_with_the_boot)
{
    struct gw_store *back = decoded(text, text_len, "boot-2", ERR_OK, NULL);

    ck_assert_uint_eq(gw_store_count(back), 3);
    ck_assert_ptr_null(gw_store_find(back, GW_OWNER_ZBUS, "7-1-a"));
    gw_store_free(back);
}
END_TEST

/* One flipped bit anywhere costs at most the entry of that line, or, in the head, is an error. */
START_TEST(test_snapshot_any_flipped_byte_is_noticed)
{
    size_t head = (size_t)(strchr(text, '\n') - text) + 1;

    for (size_t i = 0; i < text_len; i++) {
        struct gw_store *back;
        size_t bad = 0;

        text[i] = (char)(text[i] ^ 1);
        back = decoded(text, text_len, "boot-1", i < head ? ERR_INVALID : ERR_OK, &bad);
        ck_assert_msg(i < head || bad >= 1, "byte %zu unnoticed", i);
        ck_assert_uint_ge(gw_store_count(back), i < head ? 0 : 2);
        gw_store_free(back);
        text[i] = (char)(text[i] ^ 1);
    }
}
END_TEST

START_TEST(test_snapshot_any_cut_is_noticed)
{
    size_t head = (size_t)(strchr(text, '\n') - text) + 1;

    for (size_t len = 0; len < text_len; len++) {
        size_t bad = 0;
        char *copy = malloc(len + 1); /* ends where the text ends, so that over-reads show */
        struct gw_store *back;

        memcpy(copy + 1, text, len);
        back = decoded(copy + 1, len, "boot-1", len < head ? ERR_INVALID : ERR_OK, &bad);
        ck_assert(len < head || bad >= 1);
        gw_store_free(back);
        free(copy);
    }
}
END_TEST

static char dir[64];

static void make_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/gw-snapshot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_dir(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static struct gw_store *loaded(int want_rc)
{
    struct gw_store *out = NULL;

    ck_assert_int_eq(gw_store_new(&out), ERR_OK);
    ck_assert_int_eq(gw_snapshot_load(out, dir, "boot-1", &found, why), want_rc);
    return out;
}

START_TEST(test_snapshot_missing_file_is_an_empty_start)
{
    struct gw_store *back;

    make_dir();
    back = loaded(ERR_OK);
    ck_assert_uint_eq(gw_store_count(back), 0);
    gw_store_free(back);
    remove_dir();
}
END_TEST

START_TEST(test_snapshot_damaged_file_is_set_aside)
{
    struct gw_store *back;

    make_dir();
    text[text_len - 3] ^= 1;
    ck_assert_int_eq(file_write(in_dir(GW_SNAPSHOT_FILE), text, text_len), ERR_OK);
    back = loaded(ERR_OK);
    ck_assert_uint_eq(gw_store_count(back), 3);
    ck_assert_int_ne(access(in_dir(GW_SNAPSHOT_FILE), F_OK), 0);
    ck_assert_int_eq(system("ls /tmp/gw-snapshot-*/exposures.state.damaged-* >/dev/null"), 0);
    gw_store_free(back);

    ck_assert_int_eq(file_write(in_dir(GW_SNAPSHOT_FILE), "garbage", 7), ERR_OK);
    back = loaded(ERR_OK);
    ck_assert_uint_eq(gw_store_count(back), 0);
    gw_store_free(back);
    remove_dir();
}
END_TEST

START_TEST(test_snapshot_newer_version_refuses)
{
    static const char newer[] = "2f836dc01c7390f037e53111aafba695 "
                                "{\"format\":\"netwall-gateway\",\"version\":3,\"count\":0}\n";
    struct gw_store *back;

    make_dir();
    ck_assert_int_eq(file_write(in_dir(GW_SNAPSHOT_FILE), newer, sizeof(newer) - 1), ERR_OK);
    back = loaded(ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "newer netwall"));
    ck_assert_int_eq(access(in_dir(GW_SNAPSHOT_FILE), F_OK), 0); /* left as it is */
    gw_store_free(back);
    remove_dir();
}
END_TEST

/* A file of the time before changes were appended. */
START_TEST(test_snapshot_of_version_1_is_read_and_then_written_anew)
{
    static const char old[] =
        "1ca8c9f73583307f76f65bdffcf6222e "
        "{\"format\":\"netwall-gateway\",\"version\":1,\"boot\":\"boot-1\",\"epoch\":3,\"rev\":7,"
        "\"count\":1}\n"
        "0eb1f19fa632c73e25c568e74b761bcc "
        "{\"id\":\"7-1-a\",\"owner\":\"agent\",\"epoch\":3,\"rev\":7,\"gone\":false,\"hash\":\""
        "abababababababababababababababababababababababababababababababab"
        "\",\"spec\":\"{}\",\"port\":0,\"verified\":false}\n";
    struct gw_store *back = decoded(old, sizeof(old) - 1, "boot-1", ERR_OK, NULL);

    ck_assert_uint_eq(found.bad, 0);
    ck_assert(!found.appendable && !found.torn);
    ck_assert_str_eq(gw_store_find(back, GW_OWNER_AGENT, "7-1-a")->spec, "{}");
    ck_assert_uint_eq(gw_store_mark(back).rev, 7);
    gw_store_free(back);
}
END_TEST

/* ---- changes behind the whole part ---- */

static size_t whole_len;

/* One changed, one removed, one removed and there again, one new; the mark moves. */
static void append_changes(void)
{
    char *more = NULL;
    size_t len = 0;
    struct gw_entry *b;

    gw_store_forget_touched(store);
    b = gw_store_find(store, GW_OWNER_AGENT, "7-1-b");
    ck_assert_int_eq(gw_entry_set_spec(b, "{\"b\":2}", 7), ERR_OK);
    gw_store_touch(store, b);
    gw_store_touch(store, b);
    gw_store_remove(store, gw_store_find(store, GW_OWNER_AGENT, "7-1-c"));
    gw_store_remove(store, gw_store_find(store, GW_OWNER_AGENT, "7-1-a"));
    gw_store_touch(store, add(GW_OWNER_AGENT, "7-1-a", "{\"again\":1}", 0));
    gw_store_touch(store, add(GW_OWNER_ZBUS, "7-1-z", "{}", 0));
    gw_store_set_mark(store, (struct gw_mark){4, 50});
    ck_assert_uint_eq(gw_store_touched_count(store), 5);
    ck_assert_int_eq(gw_snapshot_encode_changes(store, &more, &len), ERR_OK);
    text = realloc(text, text_len + len + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text + text_len, more, len + 1);
    free(more);
    whole_len = text_len;
    text_len += len;
}

START_TEST(test_snapshot_changes_behind_it_count)
{
    struct gw_store *back;

    append_changes();
    back = decoded(text, text_len, "boot-1", ERR_OK, NULL);
    ck_assert(found.appendable);
    ck_assert_uint_eq(found.len, text_len);
    ck_assert_uint_eq(gw_store_count(back), 4);
    ck_assert_str_eq(gw_store_find(back, GW_OWNER_AGENT, "7-1-b")->spec, "{\"b\":2}");
    ck_assert_str_eq(gw_store_find(back, GW_OWNER_AGENT, "7-1-a")->spec, "{\"again\":1}");
    ck_assert_ptr_null(gw_store_find(back, GW_OWNER_AGENT, "7-1-c"));
    ck_assert_ptr_nonnull(gw_store_find(back, GW_OWNER_ZBUS, "7-1-z"));
    ck_assert_uint_eq(gw_store_mark(back).epoch, 4);
    ck_assert_uint_eq(gw_store_mark(back).rev, 50);
    ck_assert_uint_eq(gw_store_touched_count(back), 0); /* reading is no change */
    gw_store_free(back);
}
END_TEST

START_TEST(test_snapshot_of_another_boot_is_not_appended_to)
{
    append_changes();
    gw_store_free(decoded(text, text_len, "boot-2", ERR_OK, NULL));
    ck_assert(!found.appendable && found.bad == 0);
}
END_TEST

/* Power is cut in the middle of a write: what was whole before it counts, and nothing is lost. */
START_TEST(test_snapshot_unfinished_change_is_no_damage)
{
    append_changes();
    for (size_t len = whole_len; len < text_len; len++) {
        char *copy = malloc(len + 1); /* ends where the text ends, so that over-reads show */
        struct gw_store *back;

        memcpy(copy + 1, text, len);
        back = decoded(copy + 1, len, "boot-1", ERR_OK, NULL);
        ck_assert_uint_eq(found.bad, 0);
        ck_assert_uint_eq(found.torn, copy[len] != '\n');
        ck_assert_uint_eq(found.appendable, !found.torn);
        ck_assert_ptr_nonnull(gw_store_find(back, GW_OWNER_AGENT, "7-1-b"));
        gw_store_free(back);
        free(copy);
    }
}
END_TEST

START_TEST(test_snapshot_damage_among_changes_is_noticed)
{
    append_changes();
    for (size_t i = whole_len; i < text_len; i++) {
        text[i] = (char)(text[i] ^ 1);
        gw_store_free(decoded(text, text_len, "boot-1", ERR_OK, NULL));
        ck_assert_msg(!found.appendable && (found.bad > 0 || found.torn), "byte %zu", i);
        text[i] = (char)(text[i] ^ 1);
    }
}
END_TEST

/* Or it would grow with each process that ends before it writes the file anew. */
START_TEST(test_snapshot_of_long_changes_is_not_appended_to)
{
    size_t added;

    append_changes();
    added = text_len - whole_len;
    for (size_t len = text_len; text_len < GW_SNAPSHOT_TAIL_MIN + len; text_len += added) {
        text = realloc(text, text_len + added + 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text + text_len, text + whole_len, added);
    }
    gw_store_free(decoded(text, text_len, "boot-1", ERR_OK, NULL));
    ck_assert(!found.appendable && found.bad == 0 && !found.torn);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/snapshot");
    TCase *tc = tcase_create("file");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_snapshot_round_trip);
    tcase_add_test(tc, test_snapshot_zbus_entries_end_with_the_boot);
    tcase_add_test(tc, test_snapshot_any_flipped_byte_is_noticed);
    tcase_add_test(tc, test_snapshot_any_cut_is_noticed);
    tcase_add_test(tc, test_snapshot_missing_file_is_an_empty_start);
    tcase_add_test(tc, test_snapshot_damaged_file_is_set_aside);
    tcase_add_test(tc, test_snapshot_newer_version_refuses);
    tcase_add_test(tc, test_snapshot_of_version_1_is_read_and_then_written_anew);
    tcase_add_test(tc, test_snapshot_changes_behind_it_count);
    tcase_add_test(tc, test_snapshot_of_another_boot_is_not_appended_to);
    tcase_add_test(tc, test_snapshot_unfinished_change_is_no_damage);
    tcase_add_test(tc, test_snapshot_damage_among_changes_is_noticed);
    tcase_add_test(tc, test_snapshot_of_long_changes_is_not_appended_to);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
