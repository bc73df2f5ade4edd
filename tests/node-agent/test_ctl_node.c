/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"

/* Command line, what is asked where, an answer, and words of the table. */
static const struct {
    const char *args[3];
    const char *list;
    const char *command;
    const char *data;
    const char *says[4];
} views[] = {
    {{"node"},
     "core:default",
     "netwall.node.info",
     "{'name':'gw1','version':'0.1.0','uptime':5,'domain':'gw1.example','public_addresses':"
     "['192.0.2.1'],'tunnel':{'endpoint':'gw1.example:7443','public_key':'aabb'},'tcp_ports':"
     "{'from':20000,'to':20009,'free':8},'counts':{'contracts':3},'refused':{'no key':2}}",
     {"gw1.example:7443", "aabb", "20000-20009, 8 free", "3 contracts"}},
    {{"node"}, "core:default", "netwall.node.info", "{}", {"name", "public key", "counts"}},
    {{"modules"},
     "core:operator",
     "netwall.module.list",
     "[{'name':'gateway','pid':42,'state':'running','restarts':1,'since':0,'version':'0.1.0',"
     "'workload_types':['gateway-name-proxy','gateway-tcp-proxy']}]",
     {"gateway", "42", "running", "gateway-name-proxy gateway-tcp-proxy"}},
    {{"modules"}, "core:operator", "netwall.module.list", "[]", {"no modules"}},
    {{"module", "restart", "gateway"},
     "core:operator",
     "netwall.module.restart",
     "{}",
     {"restarting"}},
    {{"twins"},
     "core:operator",
     "netwall.twin.list",
     "[{'twin_id':7,'state':'admitted','limits':{'exposures':3,'tcp_ports':0},'not_after':0,"
     "'public_key':'ccdd'}]",
     {"7", "admitted", "ccdd"}},
};

START_TEST(test_node_views)
{
    const char *const *a = views[_i].args;
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node), *url = ctl_fake_url(node);
    struct ctl_out run;
    json_t *asked, *got;

    ctl_fake_answer(node, views[_i].command, "SUCCESS", views[_i].data);
    run = ctl_run_code(0, dir, "--bus", url, a[0], a[1], a[2], NULL);
    for (int i = 0; i < 4 && views[_i].says[i] != NULL; i++)
        ck_assert_msg(strstr(run.out, views[_i].says[i]) != NULL, "%s", run.out);
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert_str_eq(json_string_value(json_object_get(asked, "list")), views[_i].list);
    json_decref(asked);

    /* for machines: the data, nothing else */
    run = ctl_run_code(0, dir, "--bus", url, "--json", a[0], a[1], a[2], NULL);
    got = ctl_out_json(&run);
    for (char *at = run.out; *at != '\0'; at++) {
        if (*at == '"')
            *at = '\'';
    }
    ck_assert_uint_eq(strlen(run.out), strlen(views[_i].data) + 1);
    json_decref(got);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_node_restart_names_the_module)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;
    json_t *asked;

    ctl_fake_answer(node, "netwall.module.restart", "SUCCESS", "{}");
    run = ctl_run_code(0, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "module", "restart",
                       "a\"b", NULL);
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(json_object_get(asked, "payload"), "arguments"), "name")),
                     "a\"b");
    json_decref(asked);
    run = ctl_run_code(2, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "module", "stop",
                       "gateway", NULL);
    ctl_out_free(&run);
    run =
        ctl_run_code(2, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "module", "restart", NULL);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/node");
    TCase *tc = tcase_create("node");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_node_views, 0, COUNT(views));
    tcase_add_test(tc, test_node_restart_names_the_module);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
