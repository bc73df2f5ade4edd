/* SPDX-License-Identifier: Apache-2.0 */
/* Order matters: key file first, marker second, so that a crash in between leaves no lost key. */
#include "modules/gateway/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/keyfile.h"
#include "bus/base/log.h"

#define SLOTS 2
#define PAST_MAX 64 /* keys remembered; older ones are forgotten */
#define PAST_LINE (TUN_KEY_TEXT_LEN + 1)
#define MARKER_CAP (GW_PATH_MAX + sizeof(GW_IDENTITY_MARKER) + 1)
#define PAST_CAP (GW_PATH_MAX + sizeof(GW_IDENTITY_PAST) + 1)

_Static_assert(KEYFILE_LEN == TUN_KEY_LEN, "a key file holds one tunnel key");

static const char *marker_path(char out[MARKER_CAP], const struct gw_config *config)
{
    (void)snprintf(out, MARKER_CAP, "%s/%s", config->state_dir, GW_IDENTITY_MARKER);
    return out;
}

static int make_key(struct tun_secret_key *out, const char *path, char why[GW_IDENTITY_WHY_MAX])
{
    int rc;

    tun_key_random(out);
    rc = keyfile_write(path, KEYFILE_X25519, out->bytes);
    if (rc == ERR_OK) {
        LOG_INFO("made the gateway's key", KV_S("file", path));
        return ERR_OK;
    }
    tun_key_wipe(out);
    (void)snprintf(why, GW_IDENTITY_WHY_MAX, "cannot write the key %s: %s", path, err_text(rc));
    return rc;
}

static int read_key(struct tun_secret_key *out, const char *path, char why[GW_IDENTITY_WHY_MAX])
{
    char reason[KEYFILE_WHY_MAX];
    int rc = keyfile_read(out->bytes, KEYFILE_X25519, path, false, reason);

    if (rc != ERR_OK)
        (void)snprintf(why, GW_IDENTITY_WHY_MAX, "key %s: %s", path, reason);
    return rc;
}

/* The key of CONFIG, made when this is the first start of all. */
static int obtain_key(struct tun_secret_key *out, const struct gw_config *config,
                      char why[GW_IDENTITY_WHY_MAX])
{
    char marker[MARKER_CAP];
    bool initialised = access(marker_path(marker, config), F_OK) == 0;
    bool there = access(config->key_path, F_OK) == 0;
    int rc;

    if (!there && initialised) {
        (void)snprintf(why, GW_IDENTITY_WHY_MAX,
                       "the key %s is gone, but this gateway had one (%s): connectors trust only "
                       "that one. Put it back, or remove the marker to start with a new key",
                       config->key_path, GW_IDENTITY_MARKER);
        return ERR_NOENT;
    }
    rc = there ? read_key(out, config->key_path, why) : make_key(out, config->key_path, why);
    if (rc != ERR_OK || initialised)
        return rc;
    rc = file_write(marker, "", 0);
    if (rc != ERR_OK) {
        tun_key_wipe(out);
        (void)snprintf(why, GW_IDENTITY_WHY_MAX, "cannot write %s: %s", marker, err_text(rc));
    }
    return rc;
}

/* Move SECRET into the vault and print its public half. */
static int keep(struct gw_identity *self, const struct tun_secret_key **out,
                char hex[TUN_KEY_TEXT_LEN + 1], struct tun_secret_key *secret)
{
    struct tun_public_key public;

    tun_key_public(&public, secret);
    tun_key_print(hex, &public);
    return tun_vault_add(self->vault, out, secret);
}

/*
 * Whether `next` was `key` before, and note that `key` is now. The config looks the same in both
 * halves of a rotation but for this: first the next key comes, after the swap the old one goes. A
 * list that cannot be kept only costs connectors the hint which of the two to take.
 */
static void recall(struct gw_identity *self, const struct gw_config *config)
{
    char path[PAST_CAP], *text = NULL;
    char out[(PAST_MAX + 1) * PAST_LINE + 1];
    size_t len = 0, skip;
    int rc = ERR_OK, n;

    (void)snprintf(path, sizeof(path), "%s/%s", config->state_dir, GW_IDENTITY_PAST);
    if (file_read(&text, &len, path, (size_t)PAST_MAX * PAST_LINE) != ERR_OK)
        len = 0;
    self->next_is_past =
        len > 0 && self->next_hex[0] != '\0' && strstr(text, self->next_hex) != NULL;
    if (len == 0 || strstr(text, self->public_hex) == NULL) {
        skip = len == (size_t)PAST_MAX * PAST_LINE ? PAST_LINE : 0;
        n = snprintf(out, sizeof(out), "%s%s\n", len > 0 ? text + skip : "", self->public_hex);
        rc = file_write(path, out, (size_t)n);
    }
    if (rc != ERR_OK)
        LOG_WARN("cannot remember the gateway's public key", KV_S("file", path),
                 KV_S("err", err_text(rc)));
    free(text);
}

int gw_identity_load(struct gw_identity *out, const struct gw_config *config,
                     char why[GW_IDENTITY_WHY_MAX])
{
    struct tun_secret_key secret;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = tun_vault_new(&out->vault, SLOTS);
    if (rc != ERR_OK) {
        (void)snprintf(why, GW_IDENTITY_WHY_MAX, "%s", err_text(rc));
        return rc;
    }
    rc = obtain_key(&secret, config, why);
    if (rc == ERR_OK)
        rc = keep(out, &out->key, out->public_hex, &secret);
    if (rc == ERR_OK && config->next_key_path[0] != '\0') {
        rc = read_key(&secret, config->next_key_path, why);
        if (rc == ERR_OK)
            rc = keep(out, &out->next, out->next_hex, &secret);
        if (rc == ERR_OK && strcmp(out->next_hex, out->public_hex) == 0) {
            (void)snprintf(why, GW_IDENTITY_WHY_MAX, "key and next-key hold the same key");
            rc = ERR_INVALID;
        }
    }
    if (rc != ERR_OK) {
        gw_identity_deinit(out);
        return rc;
    }
    if (tun_vault_lock_error(out->vault) != ERR_OK)
        LOG_WARN("cannot lock the keys into memory (RLIMIT_MEMLOCK)",
                 KV_S("err", err_text(tun_vault_lock_error(out->vault))));
    recall(out, config);
    return ERR_OK;
}

void gw_identity_deinit(struct gw_identity *self)
{
    tun_vault_free(self->vault);
    memset(self, 0, sizeof(*self));
}
