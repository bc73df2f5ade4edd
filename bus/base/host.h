/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names: the only place that decides what a host name is and when two are the same. Contract,
 * SNI and Host header all pass through here. Rules: INTERFACE section 3 (labels of letters, digits,
 * '-' and '_', 1-63 bytes, no hyphen at an edge, 253 in all, ASCII only, lower case, one trailing
 * dot dropped; IP literals are not host names).
 */
#ifndef BUS_BASE_HOST_H
#define BUS_BASE_HOST_H

#include <stdbool.h>
#include <stddef.h>

#define HOST_MAX 253 /* bytes of a host name in canonical form */
#define HOST_CAP (HOST_MAX + 1)
#define HOST_LABEL_MAX 63

/*
 * Canonical form of the LEN bytes at TEXT (no port) into OUT, NUL-terminated. Returns 0;
 * ERR_REFUSED when it is an IP literal (v4 in any form inet_aton takes, or v6 with or without
 * brackets); ERR_INVALID otherwise, OUT is then "".
 */
int host_canon(char out[HOST_CAP], const char *text, size_t len);
/* The same, and the whole first label may be "*" when there is at least one label after it. */
int host_canon_wild(char out[HOST_CAP], const char *text, size_t len);
/* One label alone ("blog"); folded to lower case. Returns 0 or ERR_INVALID. */
int host_label(char out[HOST_LABEL_MAX + 1], const char *text, size_t len);
/* NAME equals DOMAIN or ends with "." and DOMAIN. Both canonical; false for an empty DOMAIN. */
bool host_under(const char *name, const char *domain);
/* The part after the first dot, borrowed; "" when there is none. */
const char *host_parent(const char *name);

#endif
