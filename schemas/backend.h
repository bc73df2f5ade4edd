/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of `backends`: where the bytes of a visitor go. Text only; nothing is looked up. */
#ifndef SCHEMAS_BACKEND_H
#define SCHEMAS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "schemas/report.h"

#define SCH_KEY_LEN 32
#define SCH_SERVICE_MAX 32 /* bytes of a service name */
#define SCH_SERVICE_CAP (SCH_SERVICE_MAX + 1)
#define SCH_SERVICE_DEFAULT "default"

struct sch_backend {
    bool tunnel;                   /* true: key and service; false: addr */
    uint8_t key[SCH_KEY_LEN];      /* X25519 public key of the connector */
    char service[SCH_SERVICE_CAP]; /* "default" when the contract names none */
    struct addr addr;              /* literal IP and port, dialled by the gateway itself */
};

/*
 * "tunnel:<64 hex>[/service]" always; RAW: also "ip:port" or "[v6]:port", else also
 * "http://ip[:port]" (port 80 when none). Returns 0 or ERR_INVALID (bad_backend, path "").
 */
int sch_backend_parse(struct sch_backend *out, const char *text, bool raw,
                      struct sch_report *report);
/* 1-32 of [a-z0-9-]. */
bool sch_service_ok(const char *name);

#endif
