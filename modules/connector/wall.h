/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network wall on the connector's side: the process can dial out and do nothing else. A seccomp
 * filter forbids every system call that makes or uses a listening socket, for good.
 */
#ifndef MODULES_CONNECTOR_WALL_H
#define MODULES_CONNECTOR_WALL_H

#define CON_WALL_WHY_CAP 256

/*
 * From now on bind, listen, accept, accept4 and io_uring_* fail with EPERM, in this process and all
 * it may start; other system call tables (32 bit) end it. Cannot be undone. Returns 0, or ERR_SYS
 * with WHY (the kernel has no seccomp).
 */
int con_wall_raise(char why[CON_WALL_WHY_CAP]);
/* No descriptor of this process is a listening socket: 0, or ERR_REFUSED with WHY naming it. */
int con_wall_no_listener(char why[CON_WALL_WHY_CAP]);
/*
 * The proof: no listening socket, and every way to make one, tried now, fails with EPERM. Returns 0
 * or ERR_REFUSED with WHY.
 */
int con_wall_check(char why[CON_WALL_WHY_CAP]);

#endif
