/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words between a gateway process and its successor, each one message of a net_channel: how
 * they are written and read. When each is said stands in upgrade.h. Versions of the program differ
 * on the two sides: numbers never change, unknown words are passed over. Pure.
 */
#ifndef MODULES_GATEWAY_HANDOVER_H
#define MODULES_GATEWAY_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/arrival.h"
#include "modules/gateway/exposure.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/heritage.h"

#define GW_HANDOVER_VERSION 1
#define GW_HANDOVER_MAX 4096           /* bytes of one word */
#define GW_HANDOVER_KEYS 64            /* keys in one GW_WORD_ONLINE */
#define GW_HANDOVER_ENV "NETWALL_HEIR" /* the descriptor of the channel */

enum gw_word {
    /* from the old process */
    GW_WORD_LISTENER = 1, /* kind u8 | IP 16 | port u16; with the listening socket */
    GW_WORD_LOCK = 2,     /* with the lock file of the state folder */
    GW_WORD_ONLINE = 3,   /* public keys of connectors that are here, 32 bytes each */
    GW_WORD_BEGIN = 4,    /* version u16: what you need to begin is complete */
    GW_WORD_TUNNEL = 5,   /* IP 16 | port u16 | since ms u64 (monotonic) | bytes read so far; with a
                             connector's socket */
    GW_WORD_TAKE = 6,     /* visitors, state folder and bus are yours */
    GW_WORD_USAGE = 7,    /* rx u64 | tx u64 | connections u64 | workload id: more of it */
    GW_WORD_ELDER = 8,    /* with the channel to a process that drains for longer */
    /* from the new process */
    GW_WORD_LISTENS = 32, /* connectors are taken */
    GW_WORD_READY = 33,   /* those that were online are here, or waited for long enough */
    GW_WORD_TAKEN = 34,   /* visitors, state folder and bus are mine */
    GW_WORD_FAILED = 35,  /* text: why I end */
    /* from the newest process to all that drain behind it */
    GW_WORD_CHANGED = 48, /* the state file was written */
    GW_WORD_STOP = 49,    /* as SIGTERM */
};

/* One word, read. What it does not carry is zero; texts and bytes point into the message. */
struct gw_handover {
    uint8_t word; /* enum gw_word, or unknown */
    enum gw_door_kind kind;
    struct addr addr;
    uint64_t since_ms;    /* TUNNEL */
    const uint8_t *bytes; /* ONLINE, TUNNEL, FAILED */
    size_t len;
    uint16_t version;
    char id[GW_ID_MAX];
    struct gw_usage usage;
};

/* Returns 0, or ERR_PROTO when it is not whole. Unknown words are fine. */
int gw_handover_read(struct gw_handover *out, const void *data, size_t len);

/* Each writes one word into OUT and returns its length; 0 when it does not fit. */
size_t gw_handover_word(uint8_t out[GW_HANDOVER_MAX], enum gw_word word);
size_t gw_handover_listener(uint8_t out[GW_HANDOVER_MAX], enum gw_door_kind kind,
                            const struct addr *asked);
/* 0 also when more was read than a tunnel may begin with. */
size_t gw_handover_tunnel(uint8_t out[GW_HANDOVER_MAX], const struct gw_arrival *arrival);
size_t gw_handover_begin(uint8_t out[GW_HANDOVER_MAX]);
size_t gw_handover_online(uint8_t out[GW_HANDOVER_MAX], const uint8_t (*keys)[GW_KEY_LEN],
                          size_t count);
size_t gw_handover_usage(uint8_t out[GW_HANDOVER_MAX], const char *id, const struct gw_usage *more);
size_t gw_handover_failed(uint8_t out[GW_HANDOVER_MAX], const char *why);

#endif
