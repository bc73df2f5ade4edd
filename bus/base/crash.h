/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points: the places where the end of a process would hurt most, by name, so that a test can
 * have it end right there. NETWALL_CRASH_AT=<name>[:<n>] makes the process send itself SIGKILL when
 * it passes the point for the n-th time (default 1). Without it a point is one comparison.
 */
#ifndef BUS_BASE_CRASH_H
#define BUS_BASE_CRASH_H

#define CRASH_ENV "NETWALL_CRASH_AT"

/* In the order in which a contract passes them. */
enum crash_point {
    CRASH_ENTRY_READ, /* agent: a command or stream entry was read, nothing is done yet */
    CRASH_VERIFIED,   /* agent: it was checked, nothing is written yet */
    CRASH_MID_COMMIT, /* agent: it is written, but inside the open transaction */
    CRASH_COMMITTED,  /* agent: it is durable, nobody was told */
    CRASH_ANSWERED,   /* agent: the bus took answer and acknowledgement; we don't know it yet */
    CRASH_ASSIGNED,   /* gateway: a new assignment was read, not applied */
    CRASH_APPLIED,    /* gateway: it is in service; neither durable nor reported */
    CRASH_SAVED,      /* gateway: it is in the state file, not reported */
    CRASH_REPORTED,   /* gateway: the bus took the report; we don't know it yet */
    CRASH_NOTED,      /* agent: reports are in the store, not acknowledged */
    CRASH_POINTS,
};

/* "entry-read" for CRASH_ENTRY_READ. */
const char *crash_name(enum crash_point point);

/*
 * Arm the point that TEXT (the value of CRASH_ENV) names; NULL disarms. Once, before threads.
 * Returns 0, or ERR_INVALID when TEXT is no "<name>" or "<name>:<n>".
 */
int crash_setup(const char *text);

/* This is POINT. Does not return when it is armed and passed often enough. */
void crash_at(enum crash_point point);

#endif
