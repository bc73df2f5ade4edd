/* SPDX-License-Identifier: Apache-2.0 */
/* The outside of a daemon: flags, limits, sd_notify, the lock of its state folder. */
#include "bus/base/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/base/crash.h"
#include "bus/base/err.h"

#define WHY_MAX 256
#define GO_ON (-1)

/* One argument of the command line, split at "=". */
struct word {
    char name[64];
    const char *value; /* after "=", or NULL */
};

struct parser {
    struct daemon_args *args;
    const char *program;
    const char *usage;
    const struct daemon_option *options;
    void *arg;
    char why[WHY_MAX];
};

static int split(struct word *out, const char *text)
{
    size_t len = strcspn(text, "=");

    if (strncmp(text, "--", 2) != 0 || len < 3 || len - 2 >= sizeof(out->name))
        return ERR_INVALID;
    memcpy(out->name, text + 2, len - 2);
    out->name[len - 2] = '\0';
    out->value = text[len] == '=' ? text + len + 1 : NULL;
    return ERR_OK;
}

static int take_config(void *arg, const char *value, char *why, size_t why_len)
{
    (void)why;
    (void)why_len;
    ((struct parser *)arg)->args->config = value;
    return ERR_OK;
}

static int take_check_config(void *arg, const char *value, char *why, size_t why_len)
{
    (void)value;
    (void)why;
    (void)why_len;
    ((struct parser *)arg)->args->check_config = true;
    return ERR_OK;
}

static int take_log_level(void *arg, const char *value, char *why, size_t why_len)
{
    if (log_level_parse(&((struct parser *)arg)->args->log_level, value) == ERR_OK)
        return ERR_OK;
    snprintf(why, why_len, "must be error, warn, info or debug");
    return ERR_INVALID;
}

static int take_log_format(void *arg, const char *value, char *why, size_t why_len)
{
    bool json = strcmp(value, "json") == 0;

    if (!json && strcmp(value, "text") != 0) {
        snprintf(why, why_len, "must be text or json");
        return ERR_INVALID;
    }
    ((struct parser *)arg)->args->log_json = json;
    return ERR_OK;
}

/* What every daemon takes. --version and --help end the program and stand in parse_one. */
static const struct daemon_option common[] = {
    {"config", false, take_config},
    {"check-config", true, take_check_config},
    {"log-level", false, take_log_level},
    {"log-format", false, take_log_format},
    {0},
};

static const struct daemon_option *find(const struct daemon_option *table, const char *name)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

static int complain(const struct parser *self, const char *word, const char *why)
{
    fprintf(stderr, "%s: %s: %s (see --help)\n", self->program, word, why);
    return DAEMON_EXIT_USAGE;
}

/* Hand one option over; *NEXT is the argument after it, used up when it is the value. */
static int apply(struct parser *self, const struct word *word, const char ***next)
{
    const struct daemon_option *option = find(common, word->name);
    void *arg = option != NULL ? self : self->arg;
    const char *value = word->value;

    if (option == NULL)
        option = find(self->options, word->name);
    if (option == NULL)
        return complain(self, word->name, "unknown option");
    if (option->flag && value != NULL)
        return complain(self, word->name, "takes no value");
    if (!option->flag && value == NULL) {
        if (**next == NULL)
            return complain(self, word->name, "needs a value");
        value = *(*next)++;
    }
    if (option->take(arg, value, self->why, sizeof(self->why)) != ERR_OK)
        return complain(self, word->name, self->why);
    return GO_ON;
}

static int parse_one(struct parser *self, const char ***next)
{
    const char *text = *(*next)++;
    struct word word;

    if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
        fputs(self->usage, stdout);
        return DAEMON_EXIT_OK;
    }
    if (strcmp(text, "--version") == 0 || strcmp(text, "-v") == 0) {
        printf("%s %s\n", self->program, NW_VERSION);
        return DAEMON_EXIT_OK;
    }
    if (split(&word, text) != ERR_OK)
        return complain(self, text, "not an option");
    return apply(self, &word, next);
}

/* How our parent logs; options say otherwise. Nonsense counts as absent. */
static void log_defaults(struct daemon_args *out)
{
    const char *level = getenv(DAEMON_ENV_LOG_LEVEL), *format = getenv(DAEMON_ENV_LOG_FORMAT);

    if (level != NULL)
        (void)log_level_parse(&out->log_level, level);
    out->log_json = format != NULL && strcmp(format, "json") == 0;
}

int daemon_parse(struct daemon_args *out, int argc, char **argv, const char *program,
                 const char *usage, const struct daemon_option *options, void *arg)
{
    struct parser self = {out, program, usage, options, arg, "bad value"};
    const char **next = (const char **)argv + (argc > 0);
    int rc = GO_ON;

    *out = (struct daemon_args){.log_level = LOG_LEVEL_INFO};
    log_defaults(out);
    while (rc == GO_ON && *next != NULL)
        rc = parse_one(&self, &next);
    if (rc != GO_ON)
        return rc;
    log_setup(out->log_level, out->log_json);
    if (crash_setup(getenv(CRASH_ENV)) == ERR_OK)
        return rc;
    fprintf(stderr, "%s: %s names no crash point\n", program, CRASH_ENV);
    return DAEMON_EXIT_USAGE;
}

void daemon_export_log(const struct daemon_args *args)
{
    (void)setenv(DAEMON_ENV_LOG_LEVEL, log_level_text(args->log_level), 1);
    (void)setenv(DAEMON_ENV_LOG_FORMAT, args->log_json ? "json" : "text", 1);
}

void daemon_harden(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* then the soft limit stays; accept copes */
    }
    if (!DAEMON_SANITIZED)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail for 0 */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
}

void daemon_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') /* an abstract socket */
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* who does not listen does not want to know */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

/* A decimal environment variable; 0 when it is missing or something else. */
static uint64_t env_number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long v;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    v = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? v : 0;
}

int daemon_env_fd(const char *name)
{
    uint64_t fd = env_number(name);

    if (fd <= STDERR_FILENO || fd > INT32_MAX || fcntl((int)fd, F_GETFD) < 0)
        return -1;
    return (int)fd;
}

unsigned daemon_watchdog_ms(void)
{
    uint64_t us = env_number("WATCHDOG_USEC");
    uint64_t ms = us / 2000;

    if (us == 0 ||
        (getenv("WATCHDOG_PID") != NULL && env_number("WATCHDOG_PID") != (uint64_t)getpid()))
        return 0; /* not asked for, or meant for our parent */
    if (ms == 0)
        return 1;
    return ms < INT32_MAX ? (unsigned)ms : INT32_MAX;
}

/* mkdir -p, new folders 0700. */
static int make_folders(const char *dir)
{
    char *path = strdup(dir);
    int rc = ERR_OK;

    if (path == NULL)
        return ERR_SYS;
    for (char *p = path + 1; rc == ERR_OK; p++) { /* DIR is not empty */
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            rc = ERR_SYS;
        if (c == '\0')
            break;
        *p = c;
    }
    free(path);
    return rc;
}

static int read_pid(int fd)
{
    char text[16] = {0};
    long pid;

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
}

static int write_pid(int fd)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return ERR_SYS;
    return ERR_OK;
}

int daemon_lock_sign(int fd)
{
    return write_pid(fd);
}

int daemon_lock_file(int *out_fd, const char *path, int *pid)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int saved;

    if (fd < 0)
        return ERR_SYS;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out_fd = fd;
        return ERR_OK;
    }
    saved = errno;
    if (saved == EWOULDBLOCK && pid != NULL)
        *pid = read_pid(fd);
    (void)close(fd);
    errno = saved;
    return saved == EWOULDBLOCK ? ERR_EXISTS : ERR_SYS;
}

int daemon_lock_dir(int *out_fd, const char *dir, int *pid)
{
    char *path = NULL;
    int fd = -1, rc, saved;

    if (dir[0] == '\0') { /* "" would become the lock of the root folder */
        errno = ENOENT;
        return ERR_SYS;
    }
    if (make_folders(dir) != ERR_OK || asprintf(&path, "%s/lock", dir) < 0)
        return ERR_SYS;
    rc = daemon_lock_file(&fd, path, pid);
    saved = errno;
    free(path);
    errno = saved;
    if (rc != ERR_OK)
        return rc;
    if (write_pid(fd) == ERR_OK) {
        *out_fd = fd;
        return ERR_OK;
    }
    saved = errno;
    (void)close(fd);
    errno = saved;
    return ERR_SYS;
}
