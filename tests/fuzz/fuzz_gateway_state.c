/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the gateway's state file. Whatever is taken from damaged text can be written and
 * read back. The sums of the lines are put right first, or nothing would ever come past them.
 */
#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/gateway/snapshot.h"

#define SUM_LEN 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Put the right sum in front of the JSON of each line. */
static void mend(char *text, size_t size)
{
    char *line = text, *end;

    while ((end = memchr(line, '\n', (size_t)(text + size - line))) != NULL) {
        size_t len = (size_t)(end - line);
        uint8_t sum[SUM_LEN];
        char digits[2 * SUM_LEN + 1];

        if (len > 2 * SUM_LEN + 1) {
            (void)crypto_generichash(sum, sizeof(sum), (const uint8_t *)line + 2 * SUM_LEN + 1,
                                     len - 2 * SUM_LEN - 1, NULL, 0);
            hex_encode(digits, sum, sizeof(sum));
            memcpy(line, digits, 2 * SUM_LEN);
        }
        line = end + 1;
    }
}

static void read_back(const struct gw_store *store)
{
    struct gw_store *back = NULL;
    struct gw_snapshot_found found;
    char why[GW_SNAPSHOT_WHY_MAX], *text = NULL;
    size_t len = 0;

    assert(gw_snapshot_encode(store, "boot", &text, &len) == ERR_OK);
    assert(gw_store_new(&back) == ERR_OK);
    assert(gw_snapshot_decode(back, "boot", &(struct gw_snapshot_text){text, len}, &found, why) ==
           ERR_OK);
    assert(found.appendable && gw_store_count(back) == gw_store_count(store));
    gw_store_free(back);
    free(text);
}

static void decode(const char *text, size_t size)
{
    struct gw_store *store = NULL;
    struct gw_snapshot_text in = {text, size};
    struct gw_snapshot_found found;
    char why[GW_SNAPSHOT_WHY_MAX];

    assert(gw_store_new(&store) == ERR_OK);
    if (gw_snapshot_decode(store, "boot", &in, &found, why) == ERR_OK)
        read_back(store);
    else
        assert(gw_store_count(store) == 0);
    gw_store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    assert(text != NULL);
    memcpy(text, data, size);
    decode(text, size);
    mend(text, size);
    decode(text, size);
    free(text);
    return 0;
}
