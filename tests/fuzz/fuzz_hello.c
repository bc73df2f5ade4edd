/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHello reader: any bytes, whole and in two pieces, must give the same answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "modules/gateway/sni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_sni whole, pieces;

    gw_sni_init(&whole, 16384);
    gw_sni_init(&pieces, 16384);
    (void)gw_sni_feed(&whole, data, size);
    (void)gw_sni_feed(&pieces, data, size / 2);
    (void)gw_sni_feed(&pieces, data, size);
    if (whole.status != pieces.status || strcmp(whole.host, pieces.host) != 0)
        abort();
    if (whole.status == GW_SNI_HOST && whole.host[0] == '\0')
        abort();
    return 0;
}
