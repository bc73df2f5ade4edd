/* SPDX-License-Identifier: Apache-2.0 */
/* The signed examples in schemas/vectors, made without our code, through our code. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/statement.h"
#include "tests/support/suite.h"

/* schemas/vectors/NAME.SUFFIX; *LEN bytes, malloc'd. */
static char *vector_file(const char *name, const char *suffix, size_t *len)
{
    const char *top = getenv("NW_SOURCE_DIR");
    char path[512], *text = malloc(SCH_DOCUMENT_MAX);
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/schemas/vectors/%s.%s", top != NULL ? top : ".", name,
                   suffix);
    file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    *len = fread(text, 1, SCH_DOCUMENT_MAX, file);
    (void)fclose(file);
    return text;
}

/* Seed and public key of WHO in keys.json. */
static void keys_of(const char *who, uint8_t seed[32], uint8_t public_key[32])
{
    size_t len;
    char *text = vector_file("keys", "json", &len);
    json_t *json = json_loadb(text, len, 0, NULL);
    json_t *entry = json_object_get(json, who);
    const char *hex = json_string_value(json_object_get(entry, "seed"));

    ck_assert_int_eq(hex_decode(seed, 32, hex, strlen(hex)), ERR_OK);
    hex = json_string_value(json_object_get(entry, "public_key"));
    ck_assert_int_eq(hex_decode(public_key, 32, hex, strlen(hex)), ERR_OK);
    json_decref(json);
    free(text);
}

#define GUEST 8    /* the twin that signs beside the owner */
#define STRANGER 9 /* the twin nobody knows here */

struct keys {
    uint8_t seed[32];
    uint8_t public_key[32];
};

/* ARG: keys of the owner and the guest. */
static const uint8_t *key_of(void *arg, uint32_t twin_id)
{
    const struct keys *keys = arg;

    return twin_id == STRANGER ? NULL : keys[twin_id == GUEST].public_key;
}

static const struct {
    const char *name;
    enum sch_style style;
    size_t signatures;
} deployments[] = {
    {"deployment", SCH_STYLE_NETWALL1, 1},
    {"deployment-zos", SCH_STYLE_ZOS, 1},
    {"deployment-weights", SCH_STYLE_NETWALL1, 2},
    {"deployment-zos-weights", SCH_STYLE_ZOS, 2},
};

START_TEST(test_vectors_deployment_verifies_and_signs_to_the_same_bytes)
{
    size_t len;
    char *text = vector_file(deployments[_i].name, "json", &len);
    struct sch_report report = {0};
    struct sch_deployment *d;
    struct keys keys[2];

    keys_of("twin", keys[0].seed, keys[0].public_key);
    keys_of("guest", keys[1].seed, keys[1].public_key);
    ck_assert_msg(sch_deployment_parse(&d, text, len, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    ck_assert_int_eq(d->style, deployments[_i].style);
    ck_assert_msg(sch_deployment_verify(d, key_of, keys, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);

    json_t *again = json_deep_copy(d->json);
    json_object_del(json_object_get(again, "signature_requirement"), "signatures");
    for (uint32_t i = 0; i < deployments[_i].signatures; i++) {
        struct sch_signer signer = {
            .twin_id = i * GUEST, .seed = keys[i].seed, .style = deployments[_i].style};

        ck_assert_int_eq(sch_deployment_sign(again, &signer, &report), ERR_OK);
    }
    ck_assert(json_equal(again, d->json));
    json_decref(again);
    sch_deployment_free(d);
    free(text);
}
END_TEST

/* Every value that the signature covers, one after the other, under each of the signatures. */
START_TEST(test_vectors_deployment_altered_anywhere_does_not_verify)
{
    static const char *const texts[] = {"metadata", "description"};
    size_t len;
    char *text = vector_file(deployments[_i].name, "json", &len);
    struct keys keys[2];

    keys_of("twin", keys[0].seed, keys[0].public_key);
    keys_of("guest", keys[1].seed, keys[1].public_key);
    for (int field = 0; field < 6; field++) {
        json_t *json = json_loadb(text, len, 0, NULL);
        json_t *requirement = json_object_get(json, "signature_requirement");
        json_t *w = json_array_get(json_object_get(json, "workloads"), 0);
        struct sch_report report = {0};
        struct sch_deployment *d;

        if (field < 2)
            json_object_set_new(json, texts[field], json_string("other"));
        else if (field < 4)
            json_object_set_new(w, texts[field - 2], json_string("other"));
        else if (field == 4)
            json_object_set_new(json, "expiration", json_integer(1893456001));
        else
            json_object_set_new(json_array_get(json_object_get(requirement, "requests"), 0),
                                "required", json_true());
        ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_OK);
        ck_assert_int_eq(sch_deployment_verify(d, key_of, keys, &report), ERR_INVALID);
        ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
        sch_deployment_free(d);
        json_decref(json);
    }
    free(text);
}
END_TEST

START_TEST(test_vectors_message_of_the_deployment_is_our_canonical_form)
{
    const char *context = SCH_CONTEXT_DEPLOYMENT;
    size_t len, message_len, form_len;
    char *text = vector_file("deployment", "json", &len);
    char *message = vector_file("deployment", "message", &message_len), *form;
    struct sch_report report;
    json_t *json, *form_json;

    ck_assert_int_eq(sch_json_load(&json, text, len, NULL, &report), ERR_OK);
    form_json = sch_deployment_signed_form(json);
    form = sch_canonical(form_json, &form_len);
    ck_assert_uint_eq(message_len, strlen(context) + form_len);
    ck_assert_mem_eq(message, context, strlen(context));
    ck_assert_mem_eq(message + strlen(context), form, form_len);
    json_decref(json);
    json_decref(form_json);
    free(form);
    free(message);
    free(text);
}
END_TEST

static const char *const hashed[] = {"deployment-zos", "deployment-zos-weights"};

START_TEST(test_vectors_message_of_zero_os_is_our_hash)
{
    size_t len, message_len;
    char *text = vector_file(hashed[_i], "json", &len);
    char *message = vector_file(hashed[_i], "message", &message_len);
    uint8_t digest[SCH_MD5_LEN];
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, text, len, NULL, &report), ERR_OK);
    ck_assert_int_eq(sch_zos_hash(digest, json), ERR_OK);
    ck_assert_uint_eq(message_len, sizeof(digest));
    ck_assert_mem_eq(message, digest, sizeof(digest));
    json_decref(json);
    free(message);
    free(text);
}
END_TEST

/* _i is the kind of statement. */
START_TEST(test_vectors_statement_verifies_and_signs_to_the_same_bytes)
{
    enum sch_statement_kind kind = (enum sch_statement_kind)_i;
    size_t len;
    char *text = vector_file(sch_statement_text(kind), "json", &len);
    struct sch_report report = {0};
    struct sch_statement *s;
    uint8_t seed[32], public_key[32];

    keys_of(kind == SCH_DELETE ? "twin" : "authority", seed, public_key);
    ck_assert_msg(sch_statement_parse(&s, kind, text, len, &report) == ERR_OK, "%s: %s",
                  report.path, report.why);
    ck_assert_int_eq(sch_statement_verify(s, public_key, &report), ERR_OK);

    json_t *again = json_deep_copy(s->json);
    json_object_del(again, "signature");
    ck_assert_int_eq(sch_statement_sign(again, kind, seed, &report), ERR_OK);
    ck_assert(json_equal(again, s->json));
    json_decref(again);
    sch_statement_free(s);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/vectors");
    TCase *tc = tcase_create("vectors");

    tcase_add_loop_test(tc, test_vectors_deployment_verifies_and_signs_to_the_same_bytes, 0,
                        COUNT(deployments));
    tcase_add_test(tc, test_vectors_message_of_the_deployment_is_our_canonical_form);
    tcase_add_loop_test(tc, test_vectors_deployment_altered_anywhere_does_not_verify, 0,
                        COUNT(deployments));
    tcase_add_loop_test(tc, test_vectors_message_of_zero_os_is_our_hash, 0, COUNT(hashed));
    tcase_add_loop_test(tc, test_vectors_statement_verifies_and_signs_to_the_same_bytes, 0,
                        SCH_STATEMENT_KINDS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
