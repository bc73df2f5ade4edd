/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the INI reader and all its getters over every section and key. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/ini.h"
#include "bus/base/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct ini *ini, int section, const char *key)
{
    const char *text = NULL;
    const char *const *items;
    uint64_t number = 7;
    bool flag = false;
    size_t count;

    ini_get_text(ini, section, key, &text);
    ini_get_bool(ini, section, key, &flag);
    ini_get_u64(ini, section, key, 5, 1000, &number);
    assert(number >= 5 && number <= 1000);
    ini_get_ms(ini, section, key, &number);
    assert(number <= QUANTITY_MS_MAX);
    ini_get_size(ini, section, key, &number);
    assert(number <= QUANTITY_SIZE_MAX);
    if (ini_get_list(ini, section, key, &items, &count))
        assert(text != NULL);
    for (size_t i = 0; i < count; i++)
        assert(items[i][0] != '\0' && strlen(items[i]) <= INI_LINE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"name", "url", "authority", "idle-timeout", "head-max"};
    char why[INI_WHY_MAX];
    struct ini *ini = NULL;
    int rc = ini_parse(&ini, "fuzz.conf", (const char *)data, size, why);

    if (rc != ERR_OK) {
        assert(ini == NULL && strncmp(why, "fuzz.conf:", 10) == 0);
        return 0;
    }
    for (size_t i = 0; i < ini_section_count(ini) && i < 16; i++) {
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            ask(ini, (int)i, keys[k]);
    }
    rc = ini_finish(ini, why);
    assert((rc == ERR_OK) == (why[0] == '\0'));
    ini_free(ini);
    return 0;
}
