/* SPDX-License-Identifier: Apache-2.0 */
/* The armed point and how often it may still be passed. */
#include "bus/base/crash.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

#define TIMES_MAX 1000000

/* What the one who started this process asked for, as the log level is. */
static struct {
    enum crash_point point; /* CRASH_POINTS = none */
    unsigned long left;
} armed = {CRASH_POINTS, 0};

static const char *const names[CRASH_POINTS] = {
    [CRASH_ENTRY_READ] = "entry-read", [CRASH_VERIFIED] = "verified",
    [CRASH_MID_COMMIT] = "mid-commit", [CRASH_COMMITTED] = "committed",
    [CRASH_ANSWERED] = "answered",     [CRASH_ASSIGNED] = "assigned",
    [CRASH_APPLIED] = "applied",       [CRASH_SAVED] = "saved",
    [CRASH_REPORTED] = "reported",     [CRASH_NOTED] = "noted",
};

const char *crash_name(enum crash_point point)
{
    return names[point];
}

static enum crash_point find(const char *name, size_t len)
{
    for (unsigned i = 0; i < CRASH_POINTS; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return (enum crash_point)i;
    }
    return CRASH_POINTS;
}

/* The number behind the colon; 0 when it is none. */
static unsigned long times(const char *text)
{
    char *end = NULL;
    unsigned long n;

    if (text[0] < '0' || text[0] > '9')
        return 0;
    n = strtoul(text, &end, 10);
    return *end == '\0' && n <= TIMES_MAX ? n : 0;
}

int crash_setup(const char *text)
{
    size_t len;
    enum crash_point point;
    unsigned long left;

    armed.point = CRASH_POINTS;
    if (text == NULL)
        return ERR_OK;
    len = strcspn(text, ":");
    point = find(text, len);
    left = text[len] == ':' ? times(text + len + 1) : 1;
    if (point == CRASH_POINTS || left == 0)
        return ERR_INVALID;
    armed.point = point;
    armed.left = left;
    return ERR_OK;
}

void crash_at(enum crash_point point)
{
    if (point != armed.point || --armed.left > 0)
        return;
    LOG_WARN("crash point", KV_S("point", names[point]));
    (void)kill(getpid(), SIGKILL);
    for (;;) /* not a step further */
        pause();
}
