/* SPDX-License-Identifier: Apache-2.0 */
/* See row.h. */
#include "tests/gateway/row.h"

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/log.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/snapshot.h"
#include "tests/gateway/made.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/temp_dir.h"

static void write_state(const struct row *self)
{
    char boot[GW_BOOT_MAX], *text, *path = temp_dir_path(self->dir, GW_SNAPSHOT_FILE);
    struct gw_store *store;
    size_t len;

    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    made_entry(store, "a", made_name("a", "blog"));
    gw_snapshot_boot(boot);
    ck_assert_int_eq(gw_snapshot_encode(store, boot, &text, &len), ERR_OK);
    ck_assert_int_eq(file_write(path, text, len), ERR_OK);
    gw_store_free(store);
    free(text);
    free(path);
}

void row_open(struct row *self)
{
    char conf[1024], why[GW_IDENTITY_WHY_MAX];

    memset(self, 0, sizeof(*self));
    log_setup(LOG_LEVEL_ERROR, false);
    self->loop = ev_loop_new(EVFLAG_AUTO);
    self->dir = temp_dir_new();
    self->http = tcp_free_port();
    self->tunnel = tcp_free_port();
    (void)snprintf(conf, sizeof(conf),
                   "[gateway]\ndomain = gw1.localhost\npublic-address = 127.0.0.1\n"
                   "verify-fqdn = no\n[listen]\nhttp = 127.0.0.1:%u\nhttps =\n"
                   "tunnel = 127.0.0.1:%u\n[limits]\nupgrade-ready-timeout = 1s\n",
                   (unsigned)self->http, (unsigned)self->tunnel);
    made_config(&self->config, conf);
    ck_assert_int_eq(gw_config_place(&self->config, self->dir), ERR_OK);
    ck_assert_int_eq(gw_identity_load(&self->identity, &self->config, why), ERR_OK);
    write_state(self);
    self->cfg = (struct gw_control_config){
        .loop = self->loop,
        .config = &self->config,
        .identity = &self->identity,
        .prefix = "",
        .module = "gateway",
        .zbus_workers = 1,
    };
}

void row_start(struct row *self)
{
    char why[GW_CONTROL_WHY_MAX] = "";

    ck_assert_msg(gw_control_new(&self->control, &self->cfg, why) == ERR_OK, "%s", why);
}

void row_close(struct row *self)
{
    gw_control_free(self->control);
    gw_identity_deinit(&self->identity);
    ev_loop_destroy(self->loop);
    temp_dir_free(self->dir);
}

bool row_listens(uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;

    close(fd);
    return ok;
}

uint64_t row_bytes(struct row *self)
{
    struct gw_usage usage = {0};

    (void)gw_worker_usage(gw_control_worker(self->control), ROW_ID, &usage);
    return usage.rx_bytes;
}

void row_count(struct row *self, uint64_t n)
{
    gw_worker_add_usage(gw_control_worker(self->control), ROW_ID,
                        &(struct gw_usage){.rx_bytes = n, .connections = 1});
}
