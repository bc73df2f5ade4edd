/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of `backends`. */
#include "schemas/backend.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"

#define TUNNEL "tunnel:"
#define HTTP "http://"
#define KEY_DIGITS (2 * (size_t)SCH_KEY_LEN)

bool sch_service_ok(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= SCH_SERVICE_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* REST is what follows "tunnel:". */
static int parse_tunnel(struct sch_backend *out, const char *rest, struct sch_report *report)
{
    size_t digits = strcspn(rest, "/");
    const char *service = SCH_SERVICE_DEFAULT;

    if (digits != KEY_DIGITS || hex_decode(out->key, SCH_KEY_LEN, rest, digits) != ERR_OK ||
        sodium_is_zero(out->key, SCH_KEY_LEN))
        return sch_fail(report, SCH_BAD_BACKEND, "",
                        "must be tunnel:<64 lower-case hex digits of the connector's public "
                        "key>[/service]");
    if (rest[digits] == '/')
        service = rest + digits + 1;
    if (!sch_service_ok(service))
        return sch_fail(report, SCH_BAD_BACKEND, "",
                        "names a service that is not 1-32 of a-z 0-9 -");
    out->tunnel = true;
    (void)snprintf(out->service, sizeof(out->service), "%s", service);
    return ERR_OK;
}

/* REST is what follows "http://": ip[:port], perhaps with a slash behind. */
static int parse_http(struct sch_backend *out, const char *rest)
{
    char text[ADDR_TEXT_MAX];
    size_t len = strlen(rest);

    if (len > 0 && rest[len - 1] == '/')
        len--;
    if (len >= sizeof(text))
        return ERR_INVALID;
    memcpy(text, rest, len);
    text[len] = '\0';
    if (addr_parse(&out->addr, text) == ERR_OK)
        return addr_is_ip(&out->addr) ? ERR_OK : ERR_INVALID;
    if (text[0] == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        return strchr(text, ':') != NULL ? addr_from_ip(&out->addr, text + 1, 80) : ERR_INVALID;
    }
    return strchr(text, ':') == NULL ? addr_from_ip(&out->addr, text, 80) : ERR_INVALID;
}

int sch_backend_parse(struct sch_backend *out, const char *text, bool raw,
                      struct sch_report *report)
{
    memset(out, 0, sizeof(*out));
    if (starts_with(text, TUNNEL))
        return parse_tunnel(out, text + strlen(TUNNEL), report);
    if (raw) {
        if (addr_parse(&out->addr, text) == ERR_OK && addr_is_ip(&out->addr))
            return ERR_OK;
        return sch_fail(report, SCH_BAD_BACKEND, "",
                        "must be tunnel:<connector key>[/service], ip:port or [v6]:port");
    }
    if (starts_with(text, HTTP) && parse_http(out, text + strlen(HTTP)) == ERR_OK)
        return ERR_OK;
    return sch_fail(report, SCH_BAD_BACKEND, "",
                    "must be tunnel:<connector key>[/service] or, without tls_passthrough, "
                    "http://ip[:port]");
}
