/* SPDX-License-Identifier: Apache-2.0 */
/* The canonicaliser of host names: folds byte by byte, and refuses what it does not know. */
#include "bus/base/host.h"

#include <arpa/inet.h>
#include <string.h>

#include "bus/base/err.h"

/* C in lower case when it may stand in a label, else 0. No isalnum(): that asks the locale. */
static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return c;
    return '\0';
}

int host_label(char out[HOST_LABEL_MAX + 1], const char *text, size_t len)
{
    out[0] = '\0';
    if (len < 1 || len > HOST_LABEL_MAX || text[0] == '-' || text[len - 1] == '-')
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        out[i] = fold(text[i]);
        if (out[i] == '\0') {
            out[0] = '\0';
            return ERR_INVALID;
        }
    }
    out[len] = '\0';
    return ERR_OK;
}

/* An IPv6 literal, with or without brackets. */
static bool is_ip6(const char *text, size_t len)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ip;

    if (memchr(text, ':', len) == NULL)
        return false; /* nearly always: the Host of every request comes here */
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &ip) == 1;
}

/* Fold all labels of the LEN <= HOST_MAX bytes at TEXT into OUT. */
static int fold_labels(char *out, const char *text, size_t len)
{
    const char *end = text + len;

    for (;;) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        size_t n = (size_t)((dot != NULL ? dot : end) - text);
        char label[HOST_LABEL_MAX + 1];

        if (host_label(label, text, n) != ERR_OK)
            return ERR_INVALID;
        memcpy(out, label, n);
        out += n;
        if (dot == NULL)
            break;
        *out++ = '.';
        text = dot + 1;
    }
    *out = '\0';
    return ERR_OK;
}

int host_canon(char out[HOST_CAP], const char *text, size_t len)
{
    struct in_addr ip;

    out[0] = '\0';
    if (is_ip6(text, len))
        return ERR_REFUSED;
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len < 1 || len > HOST_MAX || fold_labels(out, text, len) != ERR_OK) {
        out[0] = '\0';
        return ERR_INVALID;
    }
    /* 127.1, 0x7f000001 and 2130706433 are addresses to most programs, so they are to us */
    if (inet_aton(out, &ip) != 0) {
        out[0] = '\0';
        return ERR_REFUSED;
    }
    return ERR_OK;
}

int host_canon_wild(char out[HOST_CAP], const char *text, size_t len)
{
    char rest[HOST_CAP];
    int rc;

    if (len < 2 || text[0] != '*' || text[1] != '.')
        return host_canon(out, text, len);
    out[0] = '\0';
    rc = host_canon(rest, text + 2, len - 2);
    if (rc != ERR_OK)
        return rc;
    if (strlen(rest) + 2 > HOST_MAX)
        return ERR_INVALID;
    out[0] = '*';
    out[1] = '.';
    strcpy(out + 2, rest);
    return ERR_OK;
}

bool host_under(const char *name, const char *domain)
{
    size_t name_len = strlen(name), domain_len = strlen(domain);
    const char *tail;

    if (domain_len == 0 || domain_len > name_len)
        return false;
    tail = name + (name_len - domain_len);
    return strcmp(tail, domain) == 0 && (tail == name || tail[-1] == '.');
}

const char *host_parent(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot != NULL ? dot + 1 : name + strlen(name);
}
