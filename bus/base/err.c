/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of the error values. */
#include "bus/base/err.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const texts[] = {
    [-ERR_OK] = "no error",          [-ERR_SYS] = "system error",
    [-ERR_NOMEM] = "out of memory",  [-ERR_INVALID] = "not valid",
    [-ERR_PROTO] = "protocol error", [-ERR_AUTH] = "authentication failed",
    [-ERR_TIMEOUT] = "timed out",    [-ERR_EOF] = "the peer went away",
    [-ERR_LIMIT] = "limit reached",  [-ERR_EXISTS] = "already there",
    [-ERR_NOENT] = "not there",      [-ERR_AGAIN] = "try again later",
    [-ERR_REFUSED] = "refused",      [-ERR_CANCELLED] = "cancelled",
};

const char *err_text(int rc)
{
    if (rc == ERR_SYS && errno != 0) {
        /* unlike strerror: no buffer shared between callers, no locale */
        const char *text = strerrordesc_np(errno);

        return text != NULL ? text : texts[-ERR_SYS];
    }
    if (rc > 0 || rc < ERR_CANCELLED)
        return "unknown error";
    return texts[-rc];
}
