/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One zbus request being worked on: its copy of the request, its time limit, its one answer. What
 * the methods call is in bus/serve.h; this is the server's side. Private to bus/serve.
 */
#ifndef BUS_JOB_H
#define BUS_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "bus/serve.h"
#include "bus/wire.h"

struct bus_job_config {
    struct ev_loop *loop;
    uint32_t limit_ms;                      /* the request's Deadline may make it shorter */
    const struct bus_wire_request *request; /* copied, inputs too */
    /*
     * RESPONSE must go to LIST now; the job needs no worker any more. Runs once, inside
     * bus_job_answer or when the time is over, never after bus_job_detach.
     */
    void (*on_over)(void *arg, struct bus_job *job, const struct bus_wire_response *response,
                    const char *list);
    void *arg;
};

int bus_job_new(struct bus_job **out, const struct bus_job_config *cfg);
/* The server goes away: the job lives on for its method, its answer goes nowhere. */
void bus_job_detach(struct bus_job *self);
/* "[name@version].Method()", for the status object. */
void bus_job_action(const struct bus_job *self, char *out, size_t cap);

#endif
