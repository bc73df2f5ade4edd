/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a zbus request or response that decodes, encodes again to something that decodes to
 * the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const uint8_t *data, size_t size)
{
    static struct bus_wire_request request, again;
    struct bus_pack *pack = NULL;
    const uint8_t *bytes;
    size_t len;

    if (bus_wire_request_decode(&request, data, size) != ERR_OK || bus_pack_new(&pack) != ERR_OK)
        return;
    bus_wire_request_encode(pack, &request);
    bytes = bus_pack_data(pack, &len);
    if (bus_pack_rc(pack) == ERR_OK) {
        assert(bus_wire_request_decode(&again, bytes, len) == ERR_OK);
        assert(strcmp(request.id, again.id) == 0 && strcmp(request.method, again.method) == 0);
        assert(strcmp(request.reply_to, again.reply_to) == 0);
        assert(request.input_count == again.input_count);
        for (size_t i = 0; i < request.input_count; i++)
            assert(request.inputs[i].len == again.inputs[i].len);
    }
    bus_pack_free(pack);
}

static void check_response(const uint8_t *data, size_t size)
{
    struct bus_wire_response response, again;
    struct bus_pack *pack = NULL;
    const uint8_t *bytes;
    size_t len;

    if (bus_wire_response_decode(&response, data, size) != ERR_OK || bus_pack_new(&pack) != ERR_OK)
        return;
    bus_wire_response_encode(pack, &response);
    bytes = bus_pack_data(pack, &len);
    if (bus_pack_rc(pack) == ERR_OK) {
        assert(bus_wire_response_decode(&again, bytes, len) == ERR_OK);
        assert(response.failed == again.failed && response.data_len == again.data_len);
        assert((response.protocol == NULL) == (again.protocol == NULL));
    }
    bus_pack_free(pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request(data, size);
    check_response(data, size);
    return 0;
}
