/* SPDX-License-Identifier: Apache-2.0 */
/* keygen and pubkey. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/keyfile.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/say.h"
#include "schemas/signature.h"

/* Public half of the secret KEY as text. */
static void public_text(char out[2 * KEYFILE_LEN + 1], enum keyfile_type type,
                        const uint8_t key[KEYFILE_LEN])
{
    uint8_t public_key[KEYFILE_LEN];

    if (type == KEYFILE_ED25519)
        sch_public_of(public_key, key);
    else
        (void)crypto_scalarmult_base(public_key, key); /* cannot fail */
    hex_encode(out, public_key, sizeof(public_key));
}

static enum ctl_exit print_key(const struct ctl *ctl, enum keyfile_type type, const char *hex,
                               const char *text)
{
    json_t *json;
    enum ctl_exit code;

    if (!ctl->json) {
        printf("%s%s\n", text, hex);
        return CTL_OK;
    }
    json = json_pack("{s:s, s:s}", "type", keyfile_type_name(type), "public_key", hex);
    code = ctl_print(json);
    json_decref(json);
    return code;
}

static enum ctl_exit run_keygen(struct ctl *ctl, const struct ctl_args *args)
{
    const char *name = ctl_arg(args, "type"), *file = ctl_arg(args, "out");
    uint8_t key[KEYFILE_LEN];
    char hex[2 * KEYFILE_LEN + 1], text[512];
    enum keyfile_type type;
    int rc;

    if (strcmp(name, "x25519") == 0)
        type = KEYFILE_X25519;
    else if (strcmp(name, "ed25519") == 0)
        type = KEYFILE_ED25519;
    else
        return ctl_usage(args->command,
                         "--type must be ed25519 (signs: authority, twin) or x25519 (tunnels: "
                         "connector, gateway), not \"%s\"",
                         name);
    randombytes_buf(key, sizeof(key));
    rc = keyfile_write(file, type, key);
    if (rc == ERR_OK)
        public_text(hex, type, key);
    sodium_memzero(key, sizeof(key));
    if (rc == ERR_EXISTS) {
        ctl_say("%s: exists already; keys are never overwritten", file);
        return CTL_USAGE;
    }
    if (rc != ERR_OK) {
        ctl_say("%s: %s", file, err_text(rc));
        return CTL_USAGE;
    }
    (void)snprintf(text, sizeof(text), "wrote %.400s, public key ", file);
    return print_key(ctl, type, hex, text);
}

static enum ctl_exit run_pubkey(struct ctl *ctl, const struct ctl_args *args)
{
    const char *file = args->operands[0];
    char why[KEYFILE_WHY_MAX], hex[2 * KEYFILE_LEN + 1];
    uint8_t key[KEYFILE_LEN];
    enum keyfile_type type;

    if (keyfile_type_of(&type, file, why) != ERR_OK ||
        keyfile_read(key, type, file, ctl->allow_group_key, why) != ERR_OK) {
        ctl_say("%s", why);
        return CTL_USAGE;
    }
    public_text(hex, type, key);
    sodium_memzero(key, sizeof(key));
    return print_key(ctl, type, hex, "");
}

static const struct ctl_option keygen_options[] = {
    {"type", "x25519|ed25519", "ed25519 signs (authority, twin), x25519 is for tunnels (connector)",
     true, false},
    {"out", "FILE", "where the secret key goes; never overwritten", true, false},
    {0},
};

const struct ctl_command ctl_key_commands[] = {
    {"keygen", "", 0, 0, "Make a secret key; prints the public key as the last word.",
     keygen_options, run_keygen},
    {"pubkey", "FILE", 1, 1, "Print the public key of a key file.", NULL, run_pubkey},
    {0},
};
