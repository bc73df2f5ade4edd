/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the operator's error page ([http] error-template); what may stand in it is
 * modules/http/template.h. */
#ifndef MODULES_GATEWAY_TEMPLATE_H
#define MODULES_GATEWAY_TEMPLATE_H

struct http_template;

#define GW_TEMPLATE_WHY_MAX 512

/*
 * Read and check the file at PATH; "" gives NULL, the built-in page. Returns 0 and a template that
 * the caller frees, or an error with WHY = "path: why" or "path:line: why"; *OUT is then untouched.
 * Blocks as long as the disk does.
 */
int gw_template_load(struct http_template **out, const char *path, char why[GW_TEMPLATE_WHY_MAX]);

#endif
