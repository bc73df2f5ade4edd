/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control path of the node as a small world: one contract of one workload, its tenant, the bus,
 * the agent and the module, and nothing but what decides whether a contract is lost or doubled.
 * Every member is a byte and names what it stands for in the code; README.md says where to look.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

/* What a signed text or a spec says; its bytes, as far as anybody compares them. */
enum text { TEXT_NONE, TEXT_V1, TEXT_V2, TEXT_V2_OTHER, TEXT_DAMAGED };

/* What the tenant signed. Anybody may send it again, at any time. */
enum order { DEPLOY_V1, DEPLOY_V2, DEPLOY_V2_OTHER, DELETE_V1, DELETE_V2, ORDERS };

enum answer { ANSWER_NONE, ANSWER_ACCEPTED, ANSWER_REFUSED };

/* Schema of netwall:assign:<module> (schemas/assignment.h), with room for one workload. */
struct field {
    uint8_t there;
    uint8_t rev;
    uint8_t gone;
    uint8_t hash; /* a text: the hash fits the spec when they are the same */
    uint8_t spec;
};

struct head {
    uint8_t there;
    uint8_t epoch;
    uint8_t rev;
    uint8_t count;
    struct field digest; /* what the fields add up to; its spec is not used */
};

/* Struct gw_mark: the newest desired state that was taken over. */
struct mark {
    uint8_t epoch;
    uint8_t rev;
};

enum report { REPORT_OK, REPORT_DELETED, REPORTS };

/* One Redis. Lists and streams are bags: whoever takes gets any of what is there. */
struct bus {
    uint8_t waiting[ORDERS]; /* copies that nobody was given yet */
    uint8_t taken[ORDERS];   /* copies given to an agent and not acknowledged: pending */
    struct field field;
    struct head head;
    uint8_t reports[REPORTS]; /* netwall:report:<module>: a bit for each rev */
    uint8_t resync;           /* in the same stream: a module could not use what it found */
    struct mark resync_mark;  /* what it says in it */
};

/* agent.db: survives the agent. */
struct store {
    uint8_t text; /* contracts: what is in force, or was; TEXT_NONE = no row */
    uint8_t ended;
    uint8_t tombstone;
    struct field assigned; /* assignments */
    uint8_t reported;
    uint8_t state; /* workloads: what the tenant is shown (enum shown) */
    uint8_t epoch; /* counters */
    uint8_t rev;
};

enum shown { SHOWN_NOTHING, SHOWN_INIT, SHOWN_OK, SHOWN_DELETED };

enum stage {
    JOB_NONE,
    JOB_TAKEN,     /* read, nothing done */
    JOB_STORED,    /* without PROTECT_TRANSACTION: the contract is written, nothing is assigned */
    JOB_COMMITTED, /* durable, with an answer to give */
    JOB_ANSWERED,  /* without PROTECT_COMMIT_BEFORE_ANSWER: answered, nothing is durable */
};

/* The agent's memory: dies with it. */
struct agent {
    uint8_t alive; /* processes that work on the state folder */
    uint8_t has_module;
    uint8_t stage[ORDERS];
    uint8_t answer[ORDERS];
    uint8_t epoch;             /* of the heads it writes */
    uint8_t written;           /* plan.c: heads on the bus may be ours */
    uint8_t dirty;             /* mirror.c: a field was touched */
    uint8_t sync;              /* everything shall be written */
    uint8_t reports_lost;      /* noticed, and not yet answered by a new epoch */
    uint8_t reported[REPORTS]; /* reports that are committed and not acknowledged */
};

/* What a module knows of its workload: struct gw_entry and the mark. */
struct known {
    struct field entry;
    uint8_t epoch; /* of the entry */
    struct mark mark;
};

struct module {
    uint8_t alive; /* processes that serve */
    struct known known;
    uint8_t served; /* text on the route; TEXT_NONE = no route */
    uint8_t due;    /* a report about the entry is due */
    uint8_t wake;   /* the agent said "look" */
    uint8_t looking;
    struct field look_field; /* of the look under way */
    struct head look_head;
    uint8_t again; /* it brought into service what it served already */
};

/* What has been promised so far; nobody in the world can see it. */
struct past {
    uint8_t sent; /* a bit for each order */
    uint8_t accepted;
    uint8_t refused;
    uint8_t excused; /* the bus lost something: an order may stay unanswered */
    uint8_t cancelled;
    uint8_t heard_deleted; /* the module said that the route of the cancelled contract is gone */
    uint8_t safe;          /* newest text that was shown ok */
    uint8_t times_ok[4];   /* by version: how often the tenant was shown that it became ok */
};

enum fault {
    FAULT_AGENT_KILLED,
    FAULT_MODULE_KILLED,
    FAULT_REPEAT,   /* a signed text comes once more */
    FAULT_LOSE,     /* an order vanishes from its list or stream */
    FAULT_FLUSH,    /* FLUSHALL; connections stay */
    FAULT_FAILOVER, /* an older bus: what was acknowledged since is lost; everybody reconnects */
    FAULT_FIELD,    /* the field of the assignment vanishes, or its spec is damaged */
    FAULT_REPORTS,  /* the stream of reports vanishes */
    FAULT_WAKE,     /* a PUBLISH that nobody hears */
    FAULT_DISK,     /* the agent's state folder is lost; the tenants send their contracts again */
    FAULTS
};

struct world {
    struct bus bus;
    struct bus replica;   /* what a failover would bring: the bus as it was at some moment */
    uint8_t replica_lags; /* that moment is over */
    struct store store;
    struct agent agent;
    struct module module;
    struct known disk; /* the module's snapshot: survives it */
    struct past past;
    uint8_t left[FAULTS]; /* faults that may still happen */
    uint8_t left_in_all;
    uint8_t clock; /* as an epoch: later than every epoch so far is as much as matters of it */
};

/*
 * What keeps contracts from being lost and doubled. Each can be switched off alone; README.md has a
 * table with what it is in the code.
 */
enum protection {
    PROTECT_PENDING,
    PROTECT_ACK_AFTER_COMMIT,
    PROTECT_ACK_AFTER_ANSWER,
    PROTECT_COMMIT_BEFORE_ANSWER,
    PROTECT_TRANSACTION,
    PROTECT_SAME_BYTES,
    PROTECT_HASH,
    PROTECT_RISING_VERSION,
    PROTECT_DELETE_VERSION,
    PROTECT_TOMBSTONE,
    PROTECT_GONE_UNTIL_HEARD,
    PROTECT_REPORT_REV,
    PROTECT_SAME_RESULT,
    PROTECT_AGENT_LEVEL,
    PROTECT_RENEW,
    PROTECT_EPOCH,
    PROTECT_AGENT_LOCK,
    PROTECT_ADOPT,
    PROTECT_NEWER_ONLY,
    PROTECT_FIELD_HASH,
    PROTECT_DIGEST,
    PROTECT_RESYNC,
    PROTECT_ONLY_GONE,
    PROTECT_MODULE_LEVEL,
    PROTECT_LAST_KNOWN_GOOD,
    PROTECT_SAVED_MARK,
    PROTECT_SAVED_BEFORE_REPORT,
    PROTECT_SAME_SPEC,
    PROTECTIONS
};

/* What is explored: who sends what, how often what may fail, and which protections work. */
struct scene {
    const char *name;
    uint8_t orders;    /* a bit for each order that the tenant sends */
    bool quick_intake; /* from taking an order to its ack is one move */
    bool quick_module; /* from looking to reporting is one move */
    uint8_t faults[FAULTS];
    uint8_t faults_in_all;
};

struct model {
    const struct scene *scene;
    uint32_t off; /* a bit for each protection that is switched off */
};

static inline bool protects(const struct model *m, enum protection which)
{
    return (m->off & (1u << which)) == 0;
}

/* 1 or 2; 0 for no text. */
static inline int version_of(uint8_t text)
{
    return text == TEXT_V2_OTHER ? 2 : text == TEXT_DAMAGED ? 0 : text;
}

static inline bool is_deploy(int order)
{
    return order <= DEPLOY_V2_OTHER;
}

static inline uint8_t text_of(int order)
{
    return (uint8_t)(order + TEXT_V1);
}

/* Version that the order names. */
static inline int order_version(int order)
{
    return is_deploy(order) ? version_of(text_of(order)) : order == DELETE_V1 ? 1 : 2;
}

#endif
