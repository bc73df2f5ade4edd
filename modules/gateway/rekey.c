/* SPDX-License-Identifier: Apache-2.0 */
/* Taking other keys while running; see rekey.h. */
#include "modules/gateway/rekey.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/log.h"
#include "modules/gateway/gateway.h"

#define LEFT_MAX                                                                                   \
    4 /* keys that can be left behind and still have sessions; more are not told apart */
#define NAMES_CAP 160

/* A key that is not accepted any more though sessions were made with it. */
struct left {
    uint8_t key[GW_KEY_LEN];
    unsigned sessions;
    char names[NAMES_CAP]; /* of the connectors, as far as they fit */
};

struct census {
    const struct gw_key_texts *texts;
    struct left left[LEFT_MAX];
    size_t count;
};

void gw_rekey_texts(struct gw_key_texts *out, const struct gw_identity *identity)
{
    memcpy(out->own, identity->public_hex, sizeof(out->own));
    memcpy(out->next, identity->next_hex, sizeof(out->next));
}

static struct left *left_of(struct census *census, const uint8_t key[GW_KEY_LEN])
{
    struct left *at = census->left;

    while (at < census->left + census->count && memcmp(at->key, key, GW_KEY_LEN) != 0)
        at++;
    if (at == census->left + LEFT_MAX)
        return at - 1;
    if (at == census->left + census->count) {
        memcpy(at->key, key, GW_KEY_LEN);
        census->count++;
    }
    return at;
}

static void add_name(struct left *left, const char *name)
{
    size_t len = strlen(left->names);

    (void)snprintf(left->names + len, sizeof(left->names) - len, "%s%.40s", len > 0 ? " " : "",
                   name);
}

static void count_session(void *arg, const struct gw_session_info *session)
{
    struct census *census = arg;
    char key[TUN_KEY_TEXT_LEN + 1];
    struct left *left;

    if (strcmp(session->state, "up") != 0)
        return; /* its connector has left it and will not come back for it */
    hex_encode(key, session->gateway_key, GW_KEY_LEN);
    if (strcmp(key, census->texts->own) == 0 || strcmp(key, census->texts->next) == 0)
        return;
    left = left_of(census, session->gateway_key);
    left->sessions++;
    add_name(left, session->name);
}

/* Those sessions go on, but a connector that knows only the dropped key cannot come back. */
static void warn_of_left(const struct gw_worker *worker, const struct gw_key_texts *texts)
{
    struct census census = {.texts = texts};
    char key[TUN_KEY_TEXT_LEN + 1];

    gw_worker_each_session(worker, count_session, &census);
    for (size_t i = 0; i < census.count; i++) {
        hex_encode(key, census.left[i].key, GW_KEY_LEN);
        LOG_WARN("live tunnels were made with a key that is not accepted any more: they go on, but "
                 "a connector that has only this key cannot come back; put it into next-key again "
                 "until nobody uses it",
                 KV_S("key", key), KV_N("sessions", census.left[i].sessions),
                 KV_S("connectors", census.left[i].names));
    }
}

static bool is_other(const struct gw_key_texts *texts, const struct gw_identity *identity)
{
    return strcmp(texts->own, identity->public_hex) != 0 ||
           strcmp(texts->next, identity->next_hex) != 0;
}

static int take(struct gw_worker *worker, struct gw_key_texts *texts,
                const struct gw_identity *identity)
{
    int rc = gw_worker_set_keys(worker, &(struct gw_keyring_config){
                                            .key = identity->key,
                                            .next = identity->next,
                                            .next_is_past = identity->next_is_past,
                                        });

    if (rc != ERR_OK)
        return rc;
    gw_rekey_texts(texts, identity);
    LOG_INFO("the gateway's keys changed", KV_S("public_key", texts->own),
             KV_S("next_public_key", texts->next[0] != '\0' ? texts->next : "none"));
    warn_of_left(worker, texts);
    return ERR_OK;
}

bool gw_rekey(struct gw_worker *worker, struct gw_key_texts *texts, const struct gw_config *config)
{
    char why[GW_IDENTITY_WHY_MAX];
    struct gw_identity identity;
    int rc = gw_identity_load(&identity, config, why);
    bool other;

    if (rc != ERR_OK) {
        LOG_ERROR("the keys stay as they were", KV_S("why", why));
        return false;
    }
    other = is_other(texts, &identity);
    if (other)
        rc = take(worker, texts, &identity);
    if (rc != ERR_OK)
        LOG_ERROR("the keys stay as they were", KV_S("why", err_text(rc)));
    gw_identity_deinit(&identity);
    return other && rc == ERR_OK;
}
