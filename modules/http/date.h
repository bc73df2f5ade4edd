/* SPDX-License-Identifier: Apache-2.0 */
/* A moment as the value of Date (RFC 9110 section 5.6.7). */
#ifndef MODULES_HTTP_DATE_H
#define MODULES_HTTP_DATE_H

#include <stdint.h>

#define HTTP_DATE_LEN 29

/* Write UNIX_S, terminated; "" when its year has not four digits. */
void http_date_print(char out[HTTP_DATE_LEN + 1], int64_t unix_s);

#endif
