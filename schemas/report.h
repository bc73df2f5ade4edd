/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a document: the error code of the contract (INTERFACE section 5), where, and
 * why, in words for its author. Every check in schemas ends in one of these.
 */
#ifndef SCHEMAS_REPORT_H
#define SCHEMAS_REPORT_H

#include <jansson.h>

#define SCH_PATH_CAP 256 /* longest path with its NUL; longer ones are cut */
#define SCH_WHY_CAP 320  /* longest reason with its NUL */

/* Error codes as users see them; the text is the name in lower case without SCH_. */
enum sch_code {
    SCH_OK,                 /* nothing is wrong */
    SCH_MALFORMED,          /* not JSON, not canonical, a field is missing or unknown */
    SCH_TOO_LARGE,          /* a size limit */
    SCH_DUPLICATE_KEY,      /* an object key is there twice */
    SCH_BAD_TYPE,           /* a value of the wrong JSON type */
    SCH_OUT_OF_RANGE,       /* a value outside of what is allowed */
    SCH_UNSUPPORTED_TYPE,   /* no such workload type here */
    SCH_UNKNOWN_TWIN,       /* not admitted, or the grant is over */
    SCH_BAD_SIGNATURE,      /* missing or wrong signature */
    SCH_EXPIRED,            /* past its expiration */
    SCH_WRONG_NODE,         /* does not name this node */
    SCH_VERSION_CONFLICT,   /* not newer than what is stored */
    SCH_VERSION_GAP,        /* Zero-OS style: not exactly one newer */
    SCH_CONTRACT_DELETED,   /* the contract id was cancelled */
    SCH_NAME_CONFLICT,      /* the name belongs to somebody else */
    SCH_RESERVED_NAME,      /* the name is reserved for another twin, or for the node */
    SCH_BAD_NAME,           /* not a name */
    SCH_DOMAIN_NOT_HERE,    /* host name not proven, or the node has no domain */
    SCH_QUOTA_EXCEEDED,     /* more than the grant allows */
    SCH_BAD_BACKEND,        /* a backend that cannot be */
    SCH_KEY_CONFLICT,       /* the connector key belongs to another twin */
    SCH_PORT_UNAVAILABLE,   /* TCP port taken or outside of the range */
    SCH_MODULE_UNAVAILABLE, /* the module that serves the type is not there now */
    SCH_STORAGE_ERROR,      /* our own disk or memory */
    SCH_UNKNOWN,            /* what was asked for is not here */
    SCH_NOT_ALLOWED,        /* not for whoever asked: operators only */
    SCH_CODES
};

/* First thing wrong with a document. */
struct sch_report {
    enum sch_code code;
    char path[SCH_PATH_CAP]; /* "workloads[0].data.name"; "" = the document itself */
    char why[SCH_WHY_CAP];   /* "must be 1 to 65535" */
};

/* "bad_backend"; never NULL. */
const char *sch_code_text(enum sch_code code);
/* The inverse; SCH_OK for a text that is none. */
enum sch_code sch_code_parse(const char *text);
/* 400, 401, ... as the numeric `code` of a command result; 0 for SCH_OK. */
int sch_code_number(enum sch_code code);

/*
 * Fill REPORT (may be NULL) and return ERR_INVALID, so callers can `return sch_fail(...)`. Text
 * from outside that is put into WHY is cut and its control characters are replaced.
 */
int sch_fail(struct sch_report *report, enum sch_code code, const char *path, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
/*
 * Put a prefix in front of the path, as the error leaves an inner object: "workloads[%zu]". A dot
 * goes between unless the path is empty or starts with '['. Returns ERR_INVALID.
 */
int sch_report_under(struct sch_report *report, const char *prefix, ...)
    __attribute__((format(printf, 2, 3)));
/* Out of memory as a report (storage_error); returns ERR_NOMEM. */
int sch_fail_nomem(struct sch_report *report);
/* {"code","message","path"}: a new reference, NULL without memory. */
json_t *sch_report_json(const struct sch_report *report);

#endif
