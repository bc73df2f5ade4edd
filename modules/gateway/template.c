/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the error page's file, with messages that name it; see template.h. */
#include "modules/gateway/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/http/template.h"

#define PATH_TOLD 300 /* bytes of a long path that are told, its end */

static const char *told(const char *path)
{
    size_t len = strlen(path);

    return len > PATH_TOLD ? path + (len - PATH_TOLD) : path;
}

int gw_template_load(struct http_template **out, const char *path, char why[GW_TEMPLATE_WHY_MAX])
{
    char reason[HTTP_TEMPLATE_WHY_MAX] = "", *text = NULL;
    size_t len = 0, line = 0;
    int rc;

    if (path[0] == '\0') {
        *out = NULL;
        return ERR_OK;
    }
    rc = file_read(&text, &len, path, HTTP_TEMPLATE_MAX);
    if (rc != ERR_OK) {
        (void)snprintf(why, GW_TEMPLATE_WHY_MAX, "%s: error-template: %s", told(path),
                       rc == ERR_LIMIT ? "is longer than 64 KiB" : err_text(rc));
        return rc;
    }
    rc = http_template_parse(out, text, len, &line, reason);
    if (rc != ERR_OK)
        (void)snprintf(why, GW_TEMPLATE_WHY_MAX, "%s:%zu: error-template: %s", told(path), line,
                       reason[0] != '\0' ? reason : err_text(rc));
    free(text);
    return rc;
}
