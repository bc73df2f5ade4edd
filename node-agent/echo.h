/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a child prints, line by line, in our own log: at level debug, and the last line is kept for
 * whoever has to say why the child ended. Does not start the child.
 */
#ifndef NODE_AGENT_ECHO_H
#define NODE_AGENT_ECHO_H

struct ev_loop;
struct agent_echo; /* opaque: echo.c */

#define AGENT_ECHO_LINE_MAX 255 /* bytes kept of a line */

/*
 * Listen to a child; WHO (borrowed) names it in the log. *CHILD_FD is where it has to print: the
 * caller gives it to the child and closes it. Returns 0, ERR_SYS or ERR_NOMEM.
 */
int agent_echo_new(struct agent_echo **out, struct ev_loop *loop, const char *who, int *child_fd);
void agent_echo_free(struct agent_echo *self); /* NULL is fine */

/* The last line, without redis' pid and time; "" if none. Reads what is there first. */
const char *agent_echo_last(struct agent_echo *self);

#endif
