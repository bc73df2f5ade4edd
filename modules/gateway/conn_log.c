/* SPDX-License-Identifier: Apache-2.0 */
/* A visitor's requests as lines of the access log, once each when it is over; see conn_impl.h. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "modules/gateway/access.h"
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/way.h"

void gw_conn_log_way(struct gw_conn *self, const struct gw_way *way)
{
    const uint8_t *key = gw_way_connector(way);

    self->direct = key == NULL;
    if (key != NULL)
        memcpy(self->connector, key, sizeof(self->connector));
}

/* From SINCE to UNTIL, both of which may never have been, or when nobody looked at the clock. */
static uint64_t span_us(uint64_t since_us, uint64_t until_us)
{
    return since_us <= 1 || until_us < since_us ? GW_ACCESS_NEVER : until_us - since_us;
}

/* Whether it was with a service is told by the times: a way may be left of the request before. */
static void add_way(struct gw_access_record *record, const struct gw_conn *self,
                    const struct gw_exchange_times *times)
{
    bool is_lent = times->lent_us != 0;

    record->connector = is_lent && !self->direct ? self->connector : NULL;
    record->direct = is_lent && self->direct;
    record->wait_us = span_us(times->begun_us, times->lent_us);
    record->service_us = span_us(times->lent_us, times->first_us);
}

static void add_request(struct gw_access_record *record, const struct gw_conn *self)
{
    struct gw_request_line line = gw_exchange_line(self->exchange);
    const char *id = gw_exchange_id(self->exchange);

    record->exposure = self->named != NULL ? self->named->id : NULL;
    record->host = http_head_host(gw_exchange_head(self->exchange));
    record->method = (struct gw_access_text){line.method, line.method_len};
    record->target = (struct gw_access_text){line.path, line.path_len};
    record->request = (struct gw_access_text){id, strlen(id)};
}

/* The line of the present request; KEPT: it waits there, for an end that is far away. */
static void write_line(const struct gw_conn *self, const struct gw_conn_outcome *outcome,
                       struct gw_access_record **kept)
{
    struct gw_access_record record = {.refused = outcome->reason};
    char visitor[ADDR_IP_MAX];
    struct gw_exchange_times times;

    addr_print_ip(visitor, &self->peer);
    gw_exchange_times(self->exchange, &times);
    add_request(&record, self);
    add_way(&record, self, &times);
    record.visitor = visitor;
    record.status = outcome->status != 0 ? outcome->status : (int)times.status;
    record.rx_bytes = times.rx_bytes;
    record.tx_bytes = times.tx_bytes + outcome->len;
    record.total_us = span_us(times.begun_us, clock_mono_us());
    record.first_byte_us =
        outcome->len > 0 ? record.total_us : span_us(times.begun_us, times.first_us);
    if (kept != NULL)
        *kept = gw_access_keep(&record);
    if (kept == NULL || *kept == NULL)
        gw_access_write(self->front->access, &record);
}

void gw_conn_log(struct gw_conn *self, const struct gw_conn_outcome *outcome)
{
    self->unlogged = false;
    if (self->front->access != NULL && self->exchange != NULL)
        write_line(self, outcome, NULL);
}

void gw_conn_log_later(struct gw_conn *self)
{
    struct gw_exchange_times times;

    self->unlogged = false;
    if (self->front->access == NULL)
        return;
    gw_exchange_times(self->exchange, &times);
    self->lasting_since_us = times.begun_us;
    write_line(self, &(struct gw_conn_outcome){0}, &self->lasting);
}

void gw_conn_log_bytes(struct gw_conn *self, uint64_t rx_bytes, uint64_t tx_bytes)
{
    if (self->lasting == NULL)
        return;
    self->lasting->rx_bytes += rx_bytes;
    self->lasting->tx_bytes += tx_bytes;
}

static void log_lasting(struct gw_conn *self)
{
    uint64_t rx_bytes = 0, tx_bytes = 0;

    if (self->way != NULL)
        gw_way_bytes(self->way, &rx_bytes, &tx_bytes);
    gw_conn_log_bytes(self, rx_bytes, tx_bytes);
    self->lasting->total_us = span_us(self->lasting_since_us, clock_mono_us());
    gw_access_write(self->front->access, self->lasting);
    free(self->lasting);
    self->lasting = NULL;
}

void gw_conn_log_cut(struct gw_conn *self)
{
    if (self->lasting != NULL)
        log_lasting(self);
    else if (self->unlogged)
        gw_conn_log(self, &(struct gw_conn_outcome){0});
}
