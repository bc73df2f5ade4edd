/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a bus URL prints without its login is a bus URL for the same server. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024], why[BUS_WHY_MAX], printed[BUS_WHY_MAX];
    struct bus_url url, again;

    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)bus_key_is_own("p:", text, size);
    (void)bus_id_check(text, size);
    if (bus_url_parse(&url, text, why) != ERR_OK || strlen(url.host) > 150)
        return 0;
    bus_url_print(printed, &url);
    /* A path that holds '@' reads as one: only hosts are sure to come back. */
    if (!url.is_unix) {
        assert(bus_url_parse(&again, printed, why) == ERR_OK);
        assert(strcmp(url.host, again.host) == 0 && url.port == again.port && url.db == again.db);
    }
    return 0;
}
