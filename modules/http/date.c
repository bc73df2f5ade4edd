/* SPDX-License-Identifier: Apache-2.0 */
/* IMF-fixdate with names of our own, as strftime's depend on the locale; see date.h. */
#include "modules/http/date.h"

#include <time.h>

#include "bus/base/out.h"

void http_date_print(char out[HTTP_DATE_LEN + 1], int64_t unix_s)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct out o = out_init(out, HTTP_DATE_LEN + 1); /* out_fmt ends with a NUL */
    time_t at = (time_t)unix_s;
    struct tm tm;

    out[0] = '\0';
    if (gmtime_r(&at, &tm) == NULL || tm.tm_year < 1000 - 1900 || tm.tm_year > 9999 - 1900)
        return;
    out_fmt(&o, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
            months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
