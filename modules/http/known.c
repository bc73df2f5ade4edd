/* SPDX-License-Identifier: Apache-2.0 */
/* One head and what became of it; see known.h. */
#include "modules/http/known.h"

#include <string.h>

bool http_known_begins(const struct http_known *self, const char *data, size_t len)
{
    return self->len > 0 && len >= self->len && memcmp(data, self->bytes, self->len) == 0;
}

size_t http_known_write(const struct http_known *self, char *out, const struct http_reply *reply)
{
    const struct http_reply *kept = &self->reply;

    if (reply->body != kept->body || reply->minor != kept->minor || reply->close != kept->close ||
        reply->upgrade != kept->upgrade)
        return 0;
    memcpy(out, self->out, self->out_len);
    return self->out_len;
}

void http_known_keep(struct http_known *self, const struct http_response *head, const char *data,
                     const struct http_reply *reply, struct http_text out)
{
    if (head->len > HTTP_KNOWN_MAX || out.len > HTTP_KNOWN_MAX || head->code < 200 ||
        !head->has_date)
        return;
    if (head != &self->head)
        self->head = *head;
    self->reply = *reply;
    self->len = (uint16_t)head->len;
    self->out_len = (uint16_t)out.len;
    memcpy(self->bytes, data, head->len);
    memcpy(self->out, out.text, out.len);
}
