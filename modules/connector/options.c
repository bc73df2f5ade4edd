/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of netwall-connector; see options.h. */
#include "modules/connector/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

static const char usage[] =
    "usage: netwall-connector --config FILE\n"
    "       netwall-connector --key FILE --gateway HOST:PORT#PUBLICKEY --service "
    "NAME=TARGET[,tls=TARGET]\n"
    "\n"
    "Carries visitors from netwall gateways to services of this network. Dials out only.\n"
    "\n"
    "  --config FILE          connector.conf; SIGHUP reads it again\n"
    "  --key FILE             our x25519 key (make it: netwall keygen --type x25519 --out FILE)\n"
    "  --gateway H:P#HEX      a gateway and its public key; repeatable\n"
    "  --service N=T[,tls=T]  a service visitors may reach: host:port, [v6]:port or unix:/path;\n"
    "                         tls=: where visitors who speak TLS go; repeatable\n"
    "  --twin N               serve only this twin's contracts\n"
    "  --name TEXT            shown to the farmer (default: the host name)\n"
    "  --allow-group-key      the key file may be readable by its group\n"
    "  --check-config         read the config, say what is wrong, and exit\n"
    "  --check-wall           prove that this process cannot listen, and exit\n"
    "  --log-level error|warn|info|debug    --log-format text|json\n"
    "  --version  --help\n"
    "\n"
    "Environment instead of flags: NETWALL_KEY_FILE or NETWALL_KEY (the line itself),\n"
    "NETWALL_GATEWAYS, NETWALL_SERVICES (items with spaces between), NETWALL_TWIN.\n"
    "Signals: TERM, INT finish the present visitors (again: cut them); HUP reads the config "
    "again.\n";

static int take_key(void *arg, const char *value, char *why, size_t why_len)
{
    (void)why;
    (void)why_len;
    ((struct con_options *)arg)->key = value;
    return ERR_OK;
}

static int take_name(void *arg, const char *value, char *why, size_t why_len)
{
    (void)why;
    (void)why_len;
    ((struct con_options *)arg)->name = value;
    return ERR_OK;
}

static int take_twin(void *arg, const char *value, char *why, size_t why_len)
{
    (void)why;
    (void)why_len;
    ((struct con_options *)arg)->twin = value;
    return ERR_OK;
}

static int take_item(const char **list, size_t *count, const char *value, char *why)
{
    if (*count == CON_OPTIONS_ITEMS_MAX) {
        (void)strcpy(why, "too many");
        return ERR_INVALID;
    }
    list[(*count)++] = value;
    return ERR_OK;
}

static int take_gateway(void *arg, const char *value, char *why, size_t why_len)
{
    struct con_options *self = arg;

    (void)why_len;
    return take_item(self->gateways, &self->gateway_count, value, why);
}

static int take_service(void *arg, const char *value, char *why, size_t why_len)
{
    struct con_options *self = arg;

    (void)why_len;
    return take_item(self->services, &self->service_count, value, why);
}

static int take_allow_group(void *arg, const char *value, char *why, size_t why_len)
{
    (void)value;
    (void)why;
    (void)why_len;
    ((struct con_options *)arg)->allow_group = true;
    return ERR_OK;
}

static int take_check_wall(void *arg, const char *value, char *why, size_t why_len)
{
    (void)value;
    (void)why;
    (void)why_len;
    ((struct con_options *)arg)->check_wall = true;
    return ERR_OK;
}

static const struct daemon_option table[] = {
    {"key", false, take_key},
    {"gateway", false, take_gateway},
    {"service", false, take_service},
    {"twin", false, take_twin},
    {"name", false, take_name},
    {"allow-group-key", true, take_allow_group},
    {"check-wall", true, take_check_wall},
    {NULL, false, NULL},
};

int con_options_parse(struct con_options *out, int argc, char **argv)
{
    memset(out, 0, sizeof(*out));
    return daemon_parse(&out->args, argc, argv, "netwall-connector", usage, table, out);
}

/* Flags over the file, the environment for what neither gives. */
static int fill_config(struct con_config *config, const struct con_options *o,
                       char why[CON_WHY_CAP])
{
    int rc = ERR_OK;

    if (o->args.config != NULL)
        rc = con_config_load(config, o->args.config, why);
    for (size_t i = 0; i < o->gateway_count && rc == ERR_OK; i++)
        rc = con_config_add_gateway(config, o->gateways[i], why);
    for (size_t i = 0; i < o->service_count && rc == ERR_OK; i++)
        rc = con_config_add_service(config, o->services[i], why);
    if (rc == ERR_OK && o->key != NULL)
        rc = con_config_set_key(config, o->key, why);
    if (rc == ERR_OK && o->name != NULL)
        rc = con_config_set_name(config, o->name, why);
    if (rc == ERR_OK && o->twin != NULL)
        rc = con_config_set_twin(config, o->twin, why);
    if (rc == ERR_OK)
        rc = con_config_environment(config, why);
    return rc == ERR_OK ? con_config_check(config, why) : rc;
}

struct con_config *con_options_config(const struct con_options *o, char why[CON_WHY_CAP])
{
    struct con_config *config = con_config_new();

    (void)snprintf(why, CON_WHY_CAP, "out of memory");
    if (config != NULL && fill_config(config, o, why) == ERR_OK)
        return config;
    free(config);
    return NULL;
}
