/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error values shared by every folder. Functions return 0 or one of these; errno is
 * meaningful only beside ERR_SYS. Foreign errors (errno, hiredis, sodium, ...) are converted
 * where they enter and nowhere else.
 */
#ifndef BUS_BASE_ERR_H
#define BUS_BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_SYS = -1,       /* see errno */
    ERR_NOMEM = -2,     /* out of memory */
    ERR_INVALID = -3,   /* input or argument is not valid */
    ERR_PROTO = -4,     /* the peer broke the protocol */
    ERR_AUTH = -5,      /* a MAC, signature or key is not right */
    ERR_TIMEOUT = -6,   /* a deadline passed */
    ERR_EOF = -7,       /* the peer went away */
    ERR_LIMIT = -8,     /* a named maximum is reached */
    ERR_EXISTS = -9,    /* already there */
    ERR_NOENT = -10,    /* not there */
    ERR_AGAIN = -11,    /* not now, try later */
    ERR_REFUSED = -12,  /* the peer or a policy said no */
    ERR_CANCELLED = -13 /* ended by our own side */
};

/* A short text for RC, for logs and messages; for ERR_SYS the text of errno. Never NULL. */
const char *err_text(int rc);

#endif
