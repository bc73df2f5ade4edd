/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a link: records put together, opened, and their frames handed on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

#define PLACE_MIN (4u << 10) /* less is copied, together with what follows */

static int take_record(struct tun_link *self, uint8_t *ciphertext, size_t len)
{
    if (tun_record_open(&self->opener, ciphertext, len) != ERR_OK) {
        tun_link_end(self, ERR_AUTH);
        return ERR_AUTH;
    }
    return tun_session_frames(self, ciphertext, len - TUN_CIPHER_TAG_LEN);
}

static size_t record_len(const uint8_t *header)
{
    return (size_t)header[0] << 8 | header[1];
}

/* Anybody on the way could have written the length: only the link is over. */
static int check_len(struct tun_link *self, size_t len)
{
    if (len >= TUN_RECORD_CIPHERTEXT_MIN && len <= self->session->cfg.max_record)
        return ERR_OK;
    tun_link_end(self, ERR_AUTH);
    return ERR_AUTH;
}

/* The bytes of a record of which a part is here, header included; that must be here. */
static size_t partial_want(const struct tun_link *self)
{
    return TUN_RECORD_HEADER_LEN + record_len(self->partial_head);
}

static int begin_partial(struct tun_link *self)
{
    size_t want = partial_want(self);
    int rc = check_len(self, want - TUN_RECORD_HEADER_LEN);

    if (rc != ERR_OK)
        return rc;
    self->partial_cap = want + TUN_RECORD_HEADER_LEN;
    self->partial = malloc(self->partial_cap);
    if (self->partial == NULL)
        return tun_session_end(self->session, ERR_NOMEM, TUN_CODE_INTERNAL);
    return ERR_OK;
}

/* All of it is here. The memory stays. */
static int take_partial(struct tun_link *self)
{
    self->partial_len = 0;
    return take_record(self, self->partial + TUN_RECORD_HEADER_LEN, record_len(self->partial_head));
}

static void end_partial(struct tun_link *self)
{
    free(self->partial);
    self->partial = NULL;
}

/* Bytes for the record of which a part is here. *USED tells how many were taken. */
static int complete_partial(struct tun_link *self, const uint8_t *data, size_t len, size_t *used)
{
    size_t want, n;
    int rc;

    *used = 0;
    while (self->partial_len < TUN_RECORD_HEADER_LEN && *used < len)
        self->partial_head[self->partial_len++] = data[(*used)++];
    if (self->partial_len < TUN_RECORD_HEADER_LEN)
        return ERR_OK;
    if (self->partial == NULL) {
        rc = begin_partial(self);
        if (rc != ERR_OK)
            return rc;
    }
    want = partial_want(self);
    n = len - *used < want - self->partial_len ? len - *used : want - self->partial_len;
    memcpy(self->partial + self->partial_len, data + *used, n);
    self->partial_len += n;
    *used += n;
    if (self->partial_len < want)
        return ERR_OK;
    rc = take_partial(self);
    end_partial(self);
    return rc;
}

static int take_bytes(struct tun_link *self, uint8_t *data, size_t len)
{
    int rc = ERR_OK;

    while (rc == ERR_OK && len > 0) {
        size_t used = 0;

        if (self->partial_len == 0 && len > TUN_RECORD_HEADER_LEN &&
            record_len(data) <= len - TUN_RECORD_HEADER_LEN) {
            used = TUN_RECORD_HEADER_LEN + record_len(data);
            rc = check_len(self, record_len(data));
            if (rc == ERR_OK)
                rc = take_record(self, data + TUN_RECORD_HEADER_LEN, record_len(data));
        } else {
            rc = complete_partial(self, data, len, &used);
        }
        data += used;
        len -= used;
    }
    return rc;
}

/* Returns false when all is over; *RC then says why. */
static bool begin_feed(struct tun_link *self, uint64_t now_ms, int *rc)
{
    assert(self->session->depth == 0);
    if (tun_link_is_told(self, rc))
        return false;
    tun_session_enter(self->session, now_ms);
    tun_link_heard(self); /* a record may take long to come on a slow path */
    return true;
}

static int end_feed(struct tun_link *self, int rc)
{
    struct tun_session *session = self->session;

    tun_session_notify(session);
    session->end_told = session->state == TUN_SESSION_ENDED;
    tun_session_leave(session);
    return session->state == TUN_SESSION_ENDED ? session->ended : rc;
}

size_t tun_link_place(struct tun_link *self, uint8_t **at)
{
    size_t rest;

    if (self->partial == NULL)
        return 0;
    rest = partial_want(self) - self->partial_len;
    if (rest < PLACE_MIN)
        return 0;
    *at = self->partial + self->partial_len;
    return rest + TUN_RECORD_HEADER_LEN;
}

/* A record came in place, and the LEN bytes at NEXT behind it: another big one goes on in the same
 * memory. */
static int go_on(struct tun_link *self, uint8_t *next, size_t len)
{
    if (len == TUN_RECORD_HEADER_LEN && record_len(next) >= PLACE_MIN &&
        record_len(next) + 2 * TUN_RECORD_HEADER_LEN <= self->partial_cap) {
        memcpy(self->partial_head, next, TUN_RECORD_HEADER_LEN);
        self->partial_len = TUN_RECORD_HEADER_LEN;
        return ERR_OK;
    }
    end_partial(self);
    return take_bytes(self, next, len);
}

/* The part that was read to where tun_link_place said is N bytes longer. */
static int take_placed(struct tun_link *self, size_t n)
{
    size_t want = partial_want(self), len = self->partial_len + n;
    uint8_t next[TUN_RECORD_HEADER_LEN];
    int rc;

    assert(self->partial != NULL && len <= self->partial_cap);
    if (len < want) {
        self->partial_len = len;
        return ERR_OK;
    }
    memcpy(next, self->partial + want, len - want);
    rc = take_partial(self);
    if (rc != ERR_OK) {
        end_partial(self);
        return rc;
    }
    return go_on(self, next, len - want);
}

int tun_link_placed(struct tun_link *self, size_t n, uint64_t now_ms)
{
    int rc;

    if (!begin_feed(self, now_ms, &rc))
        return rc;
    return end_feed(self, take_placed(self, n));
}

int tun_link_feed(struct tun_link *self, uint8_t *data, size_t len, uint64_t now_ms)
{
    int rc;

    if (!begin_feed(self, now_ms, &rc))
        return rc;
    return end_feed(self, take_bytes(self, data, len));
}
