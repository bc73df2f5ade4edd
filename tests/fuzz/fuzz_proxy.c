/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY header reader: a header is complete at one length only, and what it says can be written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "modules/net/proxy.h"
#include "modules/net/proxy_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The addresses of HEAD come back as they were. */
static void write_and_read(const struct net_proxy_head *head)
{
    uint8_t bytes[NET_PROXY_MAX];
    struct net_proxy_head again;

    for (int version = NET_PROXY_V1; version <= NET_PROXY_V2; version++) {
        size_t len = net_proxy_write(bytes, (enum net_proxy)version, &head->visitor, &head->local);

        if (net_proxy_read(&again, bytes, len) != NET_PROXY_OK || again.len != len ||
            memcmp(&again.visitor, &head->visitor, sizeof(again.visitor)) != 0 ||
            memcmp(&again.local, &head->local, sizeof(again.local)) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_proxy_head head, part;
    enum net_proxy_status status = net_proxy_read(&head, data, size);

    if (net_proxy_read(&part, data, size / 2) == NET_PROXY_BAD && status != NET_PROXY_BAD)
        abort(); /* more bytes mend nothing */
    if ((status == NET_PROXY_BAD) != (head.why != NULL))
        abort();
    if (status == NET_PROXY_MORE && size >= NET_PROXY_READ_MAX)
        abort();
    if (status != NET_PROXY_OK)
        return 0;
    if (head.len > size || net_proxy_read(&part, data, head.len - 1) != NET_PROXY_MORE ||
        net_proxy_read(&part, data, head.len) != NET_PROXY_OK)
        abort();
    if (head.has_addresses)
        write_and_read(&head);
    return 0;
}
