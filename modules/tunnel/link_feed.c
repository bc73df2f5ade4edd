/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a link: records put together, opened, and their frames handed on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

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
    want = TUN_RECORD_HEADER_LEN + record_len(self->partial_head);
    if (self->partial == NULL) {
        rc = check_len(self, want - TUN_RECORD_HEADER_LEN);
        if (rc != ERR_OK)
            return rc;
        self->partial = malloc(want);
        if (self->partial == NULL)
            return tun_session_end(self->session, ERR_NOMEM, TUN_CODE_INTERNAL);
    }
    n = len - *used < want - self->partial_len ? len - *used : want - self->partial_len;
    memcpy(self->partial + self->partial_len, data + *used, n);
    self->partial_len += n;
    *used += n;
    if (self->partial_len < want)
        return ERR_OK;
    self->partial_len = 0;
    rc = take_record(self, self->partial + TUN_RECORD_HEADER_LEN, want - TUN_RECORD_HEADER_LEN);
    free(self->partial);
    self->partial = NULL;
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

int tun_link_feed(struct tun_link *self, uint8_t *data, size_t len, uint64_t now_ms)
{
    struct tun_session *session = self->session;
    int rc;

    assert(session->depth == 0);
    if (tun_link_is_told(self, &rc))
        return rc;
    tun_session_enter(session, now_ms);
    tun_link_heard(self); /* a record may take long to come on a slow path */
    rc = take_bytes(self, data, len);
    tun_session_notify(session);
    session->end_told = session->state == TUN_SESSION_ENDED;
    tun_session_leave(session);
    return session->state == TUN_SESSION_ENDED ? session->ended : rc;
}
