/* SPDX-License-Identifier: Apache-2.0 */
/* Where the connector dials; see target.h. */
#include "modules/connector/target.h"

#include <string.h>

#include "bus/base/err.h"

static int parse_name(struct con_target *out, const char *text)
{
    char host[HOST_CAP];

    if (addr_split(host, sizeof(host), &out->port, text) != ERR_OK)
        return ERR_INVALID;
    return host_canon(out->host, host, strlen(host)) == ERR_OK ? ERR_OK : ERR_INVALID;
}

int con_target_parse(struct con_target *out, const char *text)
{
    size_t len = strlen(text);

    memset(out, 0, sizeof(*out));
    if (len == 0 || len >= sizeof(out->text))
        return ERR_INVALID;
    if (addr_parse(&out->addr, text) != ERR_OK && parse_name(out, text) != ERR_OK) {
        memset(out, 0, sizeof(*out));
        return ERR_INVALID;
    }
    memcpy(out->text, text, len + 1);
    return ERR_OK;
}

bool con_target_given(const struct con_target *self)
{
    return self->text[0] != '\0';
}
