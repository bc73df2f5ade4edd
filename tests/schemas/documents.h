/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that several tests start from, and keys to sign them with. */
#ifndef TESTS_SCHEMAS_DOCUMENTS_H
#define TESTS_SCHEMAS_DOCUMENTS_H

#include <jansson.h>
#include <stdint.h>

#include "schemas/deployment.h"

/* A connector key as text, for backends. */
#define CONNECTOR_KEY "1111111111111111111111111111111111111111111111111111111111111111"
#define NODE_KEY "2222222222222222222222222222222222222222222222222222222222222222"

/* A contract of twin 7 for node gw1 with one workload of each type, unsigned. */
extern const char contract_text[];

/* Parse TEXT without our own rules; single quotes stand for double ones. Fails the test. */
json_t *json_of(const char *text);
/* TEXT with every ' replaced by ", for tables; malloc'd. */
char *quoted(const char *text);
/* Seed and public key number N of the tests. */
void seed_of(uint8_t out[32], uint8_t n);
void public_key_of(uint8_t out[32], uint8_t n);
/* contract_text signed by key 1, style netwall-1; changed by EDIT (JSON, merged into it) first
 * unless NULL. */
json_t *signed_contract(const char *edit);

#endif
