/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two objects zbus implementations are compared by (ZOS.md section 1.11), served through our
 * library: module "server", calculator@1.0 {Add, AddSub, Divide, Pow, Avg} and utils@1.0
 * {Capitalize, Tuple, TikTok, Panic, Sleep}. For tests and for zbus_compat; no part of a daemon.
 */
#ifndef TESTS_BUS_COMPAT_SERVER_H
#define TESTS_BUS_COMPAT_SERVER_H

#include <stddef.h>

#define COMPAT_MODULE "server"
#define COMPAT_VERSION "1.0"

struct bus_url;
struct ev_loop;
struct compat_server; /* opaque: compat_server.c */

struct compat_server_config {
    struct ev_loop *loop;
    const struct bus_url *url; /* copied */
    unsigned workers;          /* 1 or more */
    double tick_s;             /* between two times of utils.TikTok; 0 = 1 s */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. */
int compat_server_new(struct compat_server **out, const struct compat_server_config *cfg);
/* Calls that sleep are never answered. NULL is fine. */
void compat_server_free(struct compat_server *self);

#endif
