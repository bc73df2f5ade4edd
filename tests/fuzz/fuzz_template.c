/* SPDX-License-Identifier: Apache-2.0 */
/* Error page templates: any text is taken or refused, and what is taken prints what it promised. */
#include "modules/http/template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_template_values values = {
        .status = 404, .reason = "Not Found", .message = "Nothing.", .request_id = "0123"};
    struct http_template *template = NULL;
    char why[HTTP_TEMPLATE_WHY_MAX] = "", *out;
    size_t line = 0, len;

    if (http_template_parse(&template, (const char *)data, size, &line, why) != ERR_OK) {
        if (line == 0 || line > size + 1 || why[0] == '\0')
            abort();
        return 0;
    }
    len = http_template_len(template, &values);
    out = malloc(len > 0 ? len : 1);
    if (out == NULL || http_template_print(out, template, &values) != len)
        abort();
    /* without braces there are no holes: the text itself */
    if (memmem(data, size, "{{", 2) == NULL && (len != size || memcmp(out, data, size) != 0))
        abort();
    free(out);
    http_template_free(template);
    return 0;
}
