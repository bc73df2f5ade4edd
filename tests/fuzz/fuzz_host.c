/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the canonical form of a host name is stable and holds nothing it must not. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bus/base/addr.h"
#include "bus/base/err.h"
#include "bus/base/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(const char *name, int wild)
{
    char again[HOST_CAP];
    size_t len = strlen(name);

    assert(len >= 1 && len <= HOST_MAX);
    assert(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.*") == len);
    assert(name[len - 1] != '.' && strstr(name, "..") == NULL);
    assert(wild || strchr(name, '*') == NULL);
    assert((wild ? host_canon_wild : host_canon)(again, name, len) == ERR_OK);
    assert(strcmp(again, name) == 0);
    assert(host_under(name, name));
    assert(host_parent(name)[0] == '\0' || host_under(name, host_parent(name)));
}

/* Addresses are text from outside as well: what is taken must print and parse to itself. */
static void check_addr(const char *text)
{
    char printed[ADDR_TEXT_MAX], again[ADDR_TEXT_MAX];
    struct addr a;
    struct cidr range;

    if (addr_parse(&a, text) == ERR_OK) {
        addr_print(printed, &a);
        assert(addr_parse(&a, printed) == ERR_OK);
        addr_print(again, &a);
        assert(strcmp(printed, again) == 0);
    }
    if (cidr_parse(&range, text) == ERR_OK) {
        addr_from_ip16(&a, range.ip, 1);
        assert(range.bits < 96 || cidr_contains(&range, &a));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[HOST_CAP], text[400];
    int rc = host_canon(name, (const char *)data, size);

    if (rc == ERR_OK)
        check_canonical(name, 0);
    else
        assert((rc == ERR_INVALID || rc == ERR_REFUSED) && name[0] == '\0');
    if (host_canon_wild(name, (const char *)data, size) == ERR_OK)
        check_canonical(name, 1);
    if (size < sizeof(text)) {
        memcpy(text, data, size);
        text[size] = '\0';
        check_addr(text);
    }
    return 0;
}
