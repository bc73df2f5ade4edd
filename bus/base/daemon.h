/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three daemons have in common on the outside: command line flags, sd_notify, file
 * descriptor limit, state folder lock, no core dumps of secrets. No loop and no signals here.
 */
#ifndef BUS_BASE_DAEMON_H
#define BUS_BASE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/base/log.h"

#define DAEMON_EXIT_OK 0
#define DAEMON_EXIT_FAILURE 1
#define DAEMON_EXIT_USAGE 2

/* "error".."debug" and "text" or "json": what counts without --log-level and --log-format, so that
 * a module's lines look as those of its agent. */
#define DAEMON_ENV_LOG_LEVEL "NETWALL_LOG_LEVEL"
#define DAEMON_ENV_LOG_FORMAT "NETWALL_LOG_FORMAT"

/* An option of one daemon only: "--name VALUE" or "--name=VALUE"; flags take no value. */
struct daemon_option {
    const char *name; /* "workers"; NULL ends the table */
    bool flag;
    /*
     * Called in order of the command line; VALUE is NULL for a flag, else borrowed from argv.
     * Returns 0, or ERR_INVALID with a reason in WHY.
     */
    int (*take)(void *arg, const char *value, char *why, size_t why_len);
};

struct daemon_args {
    const char *config; /* --config FILE, or NULL; borrowed from argv */
    bool check_config;
    enum log_level log_level;
    bool log_json;
};

/*
 * Parse --config --check-config --version --help --log-level --log-format and the daemon's own
 * OPTIONS (may be NULL). USAGE is the whole help text. Sets up the log, and the crash point that
 * the environment names. Returns -1 to go on, or the exit code (after --help, --version or a usage
 * error, already printed).
 */
int daemon_parse(struct daemon_args *out, int argc, char **argv, const char *program,
                 const char *usage, const struct daemon_option *options, void *arg);

/* Hand the log options of ARGS on to the programs this one starts. */
void daemon_export_log(const struct daemon_args *args);

/* Address sanitizer looks for leaks with ptrace, which PR_SET_DUMPABLE 0 forbids. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DAEMON_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define DAEMON_SANITIZED 1
#endif
#ifndef DAEMON_SANITIZED
#define DAEMON_SANITIZED 0
#endif

/* Raise RLIMIT_NOFILE to its hard limit, PR_SET_DUMPABLE 0 (not in sanitized builds), ignore
 * SIGPIPE, umask 077. */
void daemon_harden(void);

/*
 * Tell systemd STATE ("READY=1", "STOPPING=1", "WATCHDOG=1") as sd_notify(3) does; nothing happens
 * without NOTIFY_SOCKET in the environment.
 */
void daemon_notify(const char *state);
/* Half of WATCHDOG_USEC in ms when systemd asks this process for it, else 0. */
unsigned daemon_watchdog_ms(void);

/*
 * The descriptor (3 or more) that the environment variable NAME says we inherited; -1 when it is
 * missing, says something else or names none that is open.
 */
int daemon_env_fd(const char *name);

/*
 * Take the lock of the file PATH, made (0600) when missing; who holds it keeps a pid in it. Returns
 * 0 and an fd to keep open or to hand on; ERR_EXISTS (held; *PID, which may be NULL, gets what the
 * file says, 0 = no pid) or ERR_SYS with errno. Writes nothing.
 */
int daemon_lock_file(int *out_fd, const char *path, int *pid);
/*
 * Create DIR (0700, parents too) when missing and lock DIR/lock; the file holds our pid while we
 * live. Returns 0 and an fd to keep open, ERR_EXISTS (in use; *PID = the holder, when known) or
 * ERR_SYS.
 */
int daemon_lock_dir(int *out_fd, const char *dir, int *pid);
/* The lock file FD, held already (inherited), names this process from now on. 0 or ERR_SYS. */
int daemon_lock_sign(int fd);

#endif
