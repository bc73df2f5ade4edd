/* SPDX-License-Identifier: Apache-2.0 */
/* Change, wait, answer: the same for every way a request may come in. */
#include "node-agent/errand.h"

#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

struct agent_errand {
    struct agent_errand_config cfg; /* arguments: our reference */
    struct agent_effect effect;
    struct agent_wait *wait;
};

void agent_errand_cancel(struct agent_errand *self)
{
    if (self == NULL)
        return;
    agent_wait_cancel(self->wait);
    json_decref(self->cfg.arguments);
    free(self);
}

static void finish(struct agent_errand *self, json_t *data, const struct sch_report *report)
{
    agent_errand_fn *on_done = self->cfg.on_done;
    void *arg = self->cfg.arg;

    agent_errand_cancel(self);
    on_done(arg, data, report);
}

static void on_effect(void *arg)
{
    struct agent_errand *self = arg;
    struct sch_report report = {.code = SCH_STORAGE_ERROR};
    json_t *data;

    self->wait = NULL;
    data = self->cfg.verb->answer(self->cfg.desk, self->cfg.arguments, &self->effect, &report);
    finish(self, data, &report);
}

static void wait_for_effect(struct agent_errand *self)
{
    bool nothing = self->effect.twin == 0 && self->effect.module[0] == '\0';

    if (nothing || agent_wait_start(&self->wait, self->cfg.waits, &self->effect, self->cfg.wait_ms,
                                    on_effect, self) != ERR_OK)
        on_effect(self);
}

int agent_errand_start(struct agent_errand **out, const struct agent_errand_config *cfg)
{
    struct agent_errand *self = calloc(1, sizeof(*self));
    struct sch_report report = {0};

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.arguments = json_incref(cfg->arguments);
    *out = self;
    if (cfg->verb->change == NULL) {
        on_effect(self);
    } else if (cfg->verb->change(cfg->desk, cfg->arguments, &self->effect, &report) != ERR_OK) {
        finish(self, NULL, &report);
    } else {
        LOG_INFO("command taken", KV_S("id", cfg->id), KV_S("command", cfg->verb->name),
                 KV_N("twin", self->effect.twin), KV_N("contract", self->effect.contract));
        wait_for_effect(self);
    }
    return ERR_OK;
}
