/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node without bus and processes: store, configuration and modules in a folder of its own; and
 * signed documents as tenants and the farmer make them.
 */
#ifndef TESTS_NODE_AGENT_FIXTURE_H
#define TESTS_NODE_AGENT_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "node-agent/config.h"
#include "node-agent/core.h"
#include "node-agent/deploy.h"
#include "schemas/report.h"
#include "schemas/result.h"
#include "schemas/statement.h"

#define FIXTURE_CONNECTOR "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FIXTURE_GATEWAY "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

struct fixture {
    char *dir;
    struct agent_config config;
    struct agent_core core;
    unsigned touched;  /* workloads touched by commits so far */
    unsigned assigned; /* of these with a changed desired state */
    unsigned commits;
    struct sch_report report; /* of the last operation that failed */
    struct agent_effect effect;
};

/* A node "gw1" with one authority; module gateway is not known yet. */
void fixture_open(struct fixture *f);
void fixture_reopen(struct fixture *f); /* as after a crash: same folder, nothing flushed */
void fixture_close(struct fixture *f);
/* The gateway reported: domain "gw1.example", key FIXTURE_GATEWAY, the three types. */
void fixture_register(struct fixture *f);
/* The module answers STATE for everything that is assigned and not yet answered. */
void fixture_answer(struct fixture *f, enum sch_state state);

/* Seed of twin N, of authority N (0 = the one in the configuration). */
void fixture_seed(uint8_t out[32], uint32_t twin);
void fixture_authority(uint8_t out[32], uint32_t n);
void fixture_public(char out[65], const uint8_t seed[32]);

/* Documents; all are new references. WORKLOADS is taken. */
json_t *fixture_workload(const char *name, const char *host);
json_t *fixture_fqdn(const char *name, const char *fqdn);
json_t *fixture_tcp(const char *name, int port);
json_t *fixture_contract(uint32_t twin, uint64_t contract, uint32_t version, json_t *workloads);
json_t *fixture_sign(json_t *contract, uint32_t twin); /* signs in place, returns it */
json_t *fixture_grant(uint32_t twin, uint64_t serial);
json_t *fixture_lock(uint32_t twin, uint64_t contract, uint64_t serial, bool lock);
json_t *fixture_revocation(uint32_t twin, uint64_t serial);
json_t *fixture_delete(uint32_t twin, uint64_t contract, uint32_t version);
json_t *fixture_sign_as(json_t *statement, enum sch_statement_kind kind, uint32_t authority);

/* Operations; DOCUMENT is taken. They return SCH_OK or the code of the refusal. */
enum sch_code fixture_deploy(struct fixture *f, json_t *document);
enum sch_code fixture_delete_contract(struct fixture *f, json_t *document);
enum sch_code fixture_state(struct fixture *f, enum sch_statement_kind kind, json_t *document);
/* A signed contract with one name workload "w" for HOST; its deployment. */
enum sch_code fixture_deploy_name(struct fixture *f, uint32_t twin, uint64_t contract,
                                  uint32_t version, const char *host);
/* Twin N is admitted with serial 1. */
void fixture_admit(struct fixture *f, uint32_t twin);

/* The node's time is at least UNIX_S from now on, and what is over by then ends. */
void fixture_pass(struct fixture *f, uint64_t unix_s);

/* State of a workload; SCH_STATES when there is none. */
enum sch_state fixture_workload_state(struct fixture *f, const char *id);
int64_t fixture_number(struct fixture *f, const char *sql);

#endif
