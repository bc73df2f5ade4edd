/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publish and subscribe. At most once: a message says "look", it never carries the only copy of
 * anything. The subscriber has its own connection, subscribes again after every loss, and says so.
 */
#ifndef BUS_EVENT_H
#define BUS_EVENT_H

#include <stddef.h>

#include "bus/link.h"

struct bus_subscriber; /* opaque: event.c */

#define BUS_CHANNELS_MAX 64

/* PUBLISH on LINK; nobody waits for the outcome. Returns as bus_link_send. */
int bus_event_publish(struct bus_link *link, const char *channel, const void *data, size_t len);
/* Channel of a zbus stream method: "<module>.<object>@<version>.<method>". Returns OUT. */
const char *bus_event_zbus(char out[BUS_KEY_CAP], const char *module, const char *object,
                           const char *version, const char *method);

struct bus_subscriber_config {
    struct ev_loop *loop;
    const struct bus_url *url;   /* copied */
    const char *const *channels; /* full names, prefix included; copied */
    size_t count;                /* 1..BUS_CHANNELS_MAX */
    /* All channels are subscribed (again): whatever was published before may have been missed. */
    void (*on_ready)(void *arg); /* may be NULL */
    /* CHANNEL is NUL-terminated; both are borrowed for the length of the call. */
    void (*on_message)(void *arg, const char *channel, const void *data, size_t len);
    void *arg;
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. No callback runs inside; all may free the subscriber. */
int bus_subscriber_new(struct bus_subscriber **out, const struct bus_subscriber_config *cfg);
void bus_subscriber_free(struct bus_subscriber *self); /* NULL is fine */

#endif
