/* SPDX-License-Identifier: Apache-2.0 */
/* Why a gateway is not reached; see failure.h. */
#include "modules/connector/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"

#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

/* Note a failure at STAGE unless a better one is known. Returns whether it was taken. */
__attribute__((format(printf, 4, 5))) static bool note(struct con_failure *self,
                                                       enum con_failure_stage stage,
                                                       const char *address, const char *fmt, ...)
{
    va_list args;

    if (stage < self->stage)
        return false;
    *self = (struct con_failure){.stage = stage};
    (void)snprintf(self->address, sizeof(self->address), "%.*s", (int)sizeof(self->address) - 1,
                   address);
    va_start(args, fmt);
    (void)vsnprintf(self->why, sizeof(self->why), fmt, args);
    va_end(args);
    return true;
}

void con_failure_lookup(struct con_failure *self, const char *address, int rc)
{
    (void)note(self, CON_FAILURE_LOOKUP, address, "the name cannot be resolved: %s",
               rc == ERR_NOENT ? "no such host" : err_text(rc));
}

void con_failure_dial(struct con_failure *self, const char *address, int rc)
{
    (void)note(self, CON_FAILURE_DIAL, address, "cannot connect: %s", err_text(rc));
}

void con_failure_hello(struct con_failure *self, const char *address, int rc)
{
    if (rc == ERR_AUTH || rc == ERR_PROTO)
        (void)note(self, CON_FAILURE_HELLO, address,
                   "what answers there is not this gateway: its first answer is not authentic");
    else
        (void)note(self, CON_FAILURE_HELLO, address,
                   "no answer to our first message (%s): the public key is probably not this "
                   "gateway's, or many wait there",
                   rc == ERR_TIMEOUT ? "timed out" : "closed");
}

/* The gateway said why, in its own words. */
static void note_told(struct con_failure *self, enum con_failure_stage stage, const char *address,
                      const struct tun_notice *notice)
{
    if (!note(self, stage, address, "the gateway %s: %s%s%s",
              stage == CON_FAILURE_LOST ? "ended the tunnel" : "refuses us",
              tun_code_name(notice->code), notice->why[0] != '\0' ? ", " : "", notice->why))
        return;
    self->told_ms = notice->retry_ms;
}

/* A link that nobody took, and that nobody refused in words. */
static void note_not_taken(struct con_failure *self, const char *address,
                           const struct con_session_lost *lost, const struct tun_public_key *own)
{
    char key[TUN_KEY_TEXT_LEN + 1];

    if (lost->rc != ERR_EOF && lost->rc != ERR_SYS) {
        (void)note(self, CON_FAILURE_ACCEPT, address, "no answer after the handshake: %s",
                   err_text(lost->rc));
        return;
    }
    if (lost->known || lost->rc == ERR_SYS) { /* it knows our key, or this is a cut, no verdict */
        (void)note(self, CON_FAILURE_ACCEPT, address, "closed before the gateway took the link");
        return;
    }
    tun_key_print(key, own);
    if (note(self, CON_FAILURE_ACCEPT, address,
             "the gateway does not accept our key %.4s" ELLIPSIS ": no live contract names it",
             key))
        self->unknown_key = true;
}

void con_failure_link(struct con_failure *self, const char *address,
                      const struct con_session_lost *lost, const struct tun_public_key *own)
{
    if (lost->notice != NULL)
        note_told(self, CON_FAILURE_ACCEPT, address, lost->notice);
    else if (!lost->accepted)
        note_not_taken(self, address, lost, own);
    else
        (void)note(self, CON_FAILURE_LOST, address, "the connection was lost: %s",
                   lost->rc == ERR_TIMEOUT ? "the gateway is silent" : err_text(lost->rc));
}

static const char *end_text(int rc)
{
    switch (rc) {
    case ERR_TIMEOUT:
        return "no link came back within the resume window";
    case ERR_NOENT:
        return "the gateway no longer knows this session";
    default:
        return err_text(rc);
    }
}

void con_failure_session(struct con_failure *self, const char *address,
                         const struct con_session_end *end)
{
    if (end->notice != NULL)
        note_told(self, end->accepted ? CON_FAILURE_LOST : CON_FAILURE_ACCEPT, address,
                  end->notice);
    else if (end->accepted)
        (void)note(self, CON_FAILURE_LOST, address, "the tunnel was lost: %s", end_text(end->rc));
    else
        (void)note(self, CON_FAILURE_ACCEPT, address, "no answer after the handshake: %s",
                   err_text(end->rc));
}
