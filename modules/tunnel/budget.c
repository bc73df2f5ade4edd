/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket. */
#include "modules/tunnel/budget.h"

#include "bus/base/err.h"

void tun_budget_init(struct tun_budget *self, uint64_t now_ms)
{
    *self = (struct tun_budget){.points = TUN_BUDGET_MAX, .at_ms = now_ms};
}

static void refill(struct tun_budget *self, uint64_t now_ms)
{
    uint64_t elapsed = now_ms > self->at_ms ? now_ms - self->at_ms : 0;

    self->at_ms = now_ms;
    if (elapsed > TUN_BUDGET_MAX / TUN_BUDGET_PER_MS)
        elapsed = TUN_BUDGET_MAX / TUN_BUDGET_PER_MS;
    self->points += elapsed * TUN_BUDGET_PER_MS;
    if (self->points > TUN_BUDGET_MAX)
        self->points = TUN_BUDGET_MAX;
}

int tun_budget_charge(struct tun_budget *self, uint32_t cost, uint64_t now_ms)
{
    refill(self, now_ms);
    if (self->points < cost)
        return ERR_LIMIT;
    self->points -= cost;
    return ERR_OK;
}
