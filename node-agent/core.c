/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions with a memory of what they touched. */
#include "node-agent/core.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/map.h"
#include "node-agent/store.h"

int agent_core_init(struct agent_core *self, struct agent_db *db, const struct agent_config *config)
{
    self->db = db;
    self->config = config;
    return map_new(&self->touched);
}

static void forget_touched(struct agent_core *self)
{
    struct agent_touch *touch;
    size_t at = 0;

    while ((touch = map_next(self->touched, &at, NULL, NULL)) != NULL) {
        (void)map_remove_text(self->touched, touch->id);
        free(touch);
    }
}

void agent_core_deinit(struct agent_core *self)
{
    if (self->touched != NULL)
        forget_touched(self);
    map_free(self->touched);
    agent_db_close(self->db);
    self->touched = NULL;
    self->db = NULL;
}

uint64_t agent_core_now(const struct agent_core *self)
{
    uint64_t clock = clock_unix_ms() / 1000;
    uint64_t newest = agent_store_counter(self->db, "time");

    return clock > newest ? clock : newest;
}

void agent_core_begin(struct agent_core *self)
{
    agent_db_begin(self->db);
}

/* The listener may look at the store, so the list is taken out first. */
static void tell(struct agent_core *self)
{
    struct agent_touch *touch;
    size_t at = 0;

    while ((touch = map_next(self->touched, &at, NULL, NULL)) != NULL) {
        (void)map_remove_text(self->touched, touch->id);
        if (self->on_touch != NULL)
            self->on_touch(self->arg, touch);
        free(touch);
    }
    if (self->on_commit != NULL)
        self->on_commit(self->arg);
}

int agent_core_commit(struct agent_core *self, struct sch_report *report)
{
    if (agent_db_commit(self->db) != ERR_OK) {
        forget_touched(self);
        (void)sch_fail(report, SCH_STORAGE_ERROR, "", "the node's store does not take it now");
        return ERR_SYS;
    }
    tell(self);
    return ERR_OK;
}

void agent_core_rollback(struct agent_core *self)
{
    agent_db_rollback(self->db);
    forget_touched(self);
}

int agent_core_end(struct agent_core *self, int rc, struct sch_report *report)
{
    if (rc != ERR_OK && !agent_db_failed(self->db)) {
        agent_core_rollback(self);
        return rc;
    }
    crash_at(CRASH_MID_COMMIT);
    rc = agent_core_commit(self, report);
    if (rc == ERR_OK)
        crash_at(CRASH_COMMITTED);
    return rc;
}

void agent_core_touch(struct agent_core *self, const struct agent_touch *touch)
{
    struct agent_touch *known = map_get_text(self->touched, touch->id);

    if (known != NULL) {
        known->assigned |= touch->assigned;
        known->moved |= touch->moved;
        known->counted |= touch->counted;
        return;
    }
    known = malloc(sizeof(*known));
    if (known == NULL)
        return; /* the periodic comparison of the mirrors finds it */
    *known = *touch;
    if (map_put_text(self->touched, touch->id, known, NULL) != ERR_OK)
        free(known);
}
