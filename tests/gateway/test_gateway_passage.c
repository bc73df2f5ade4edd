/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors whose exposure is with another worker: served there, without a byte lost. */
#include "modules/gateway/passage.h"

#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/net/mail.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"

START_TEST(test_passage_of_an_http_visitor_brings_what_it_sent_at_once)
{
    struct rig *rig = rig_new_pair();
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST) "and more"); /* opaque only after the 101 */
    ck_assert(rig_expect(rig, fd, RIG_ECHOED("/", HOST)));
    ck_assert(rig_expect(rig, fd, "and more"));
    rig_send_text(fd, "later");
    ck_assert(rig_expect(rig, fd, "later"));
    ck_assert_int_eq(rig->connectors[1].last_open.kind, TUN_KIND_HTTP);
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_passage_of_a_tls_visitor_brings_its_hello)
{
    struct rig *rig = rig_new_pair();
    uint8_t hello[1024];
    size_t len = rig_hello(hello, sizeof(hello)), got = 0;
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    fd = rig_visit(rig, "https");
    rig_send(fd, hello, len / 2);
    rig_run(rig, 20);
    rig_send(fd, hello + len / 2, len - len / 2);
    for (uint8_t back[1024]; got < len; rig_run(rig, 1)) { /* check's limit bounds it */
        ssize_t n = recv(fd, back, len - got, MSG_DONTWAIT);

        if (n <= 0)
            continue;
        ck_assert_mem_eq(back, hello + got, (size_t)n);
        got += (size_t)n;
    }
    ck_assert_str_eq(rig->connectors[1].last_open.name, HOST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_passage_of_a_tcp_visitor_looks_at_nothing)
{
    struct rig *rig = rig_new_pair();
    struct gw_exposure *tcp = rig_exposure("7-1-tcp", NULL, 1);
    uint16_t port = tcp->port;
    int fd;

    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    ck_assert(rig_connect(rig, 1)->accepted);
    rig->connectors[1].service = RIG_GREET;
    fd = rig_visit_port(rig, port);
    ck_assert(rig_expect(rig, fd, "hello"));
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-tcp"), ERR_OK);
    ck_assert_int_ne(rig_read_all(rig, fd, (char[64]){0}, 64), RIG_OPEN); /* ended with it */
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_passage_is_for_those_whose_exposure_is_elsewhere)
{
    struct rig *rig = rig_new_pair();
    char answer[4096];
    int fd;

    ck_assert(rig_connect(rig, 0)->accepted);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", "first.gw.example"));
    ck_assert(rig_expect(rig, fd, RIG_ECHOED("/", "first.gw.example")));
    close(fd);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", "unknown.gw.example"));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "404"));
    close(fd);
    rig_free(rig);
}
END_TEST

/* Refused there as it would be here, and counted. */
START_TEST(test_passage_to_an_exposure_without_connector_is_answered_there)
{
    struct rig *rig = rig_new_pair();
    char answer[4096];
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "503"));
    ck_assert_uint_eq(rig_refused(rig, "no_connector"), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

static void one_visitor(struct gw_config *config)
{
    config->threads = 2;
    config->limits.visitors_per_source = 1;
}

START_TEST(test_passage_takes_the_place_of_its_source_along)
{
    struct rig *rig = rig_new_with(one_visitor);
    char answer[4096];
    int fd, other;

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-first", "first.gw.example", 0)), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    ck_assert(rig_connect(rig, 1)->accepted);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert(rig_expect(rig, fd, RIG_ECHOED("/", HOST)));
    other = rig_visit(rig, "http");
    ck_assert_int_eq(rig_read_all(rig, other, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "429"));
    close(other);
    close(fd);
    while (gw_worker_count_visitors(rig->worker) > 0) /* check's limit bounds it */
        rig_run(rig, 5);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert(rig_expect(rig, fd, RIG_ECHOED("/", HOST)));
    close(fd);
    rig_free(rig);
}
END_TEST

static int ask(struct rig *rig, int fd, const char *host, const char *want)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    rig_send_text(fd, text);
    ck_assert_msg(rig_expect(rig, fd, want), "%s was not served %s", host, want);
    return fd;
}

/* Connector N answers requests. */
static void answer(struct rig *rig, unsigned n)
{
    struct rig_connector *c = rig_connect(rig, n);

    ck_assert(c->accepted);
    c->service = RIG_ANSWER;
}

/* A wildcard of one worker never gets what another one has by name, old or new. */
START_TEST(test_passage_of_each_request_goes_where_all_names_say)
{
    struct rig *rig = rig_new_pair();
    int fd;

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-wild", "*.x.example", 1)), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-exact", "a.x.example", 0)), ERR_OK);
    answer(rig, 0);
    answer(rig, 1);
    fd = ask(rig, rig_visit(rig, "http"), "b.x.example", "by 1.");
    ask(rig, fd, "a.x.example", "by 0.");
    ask(rig, fd, "b.x.example", "by 1.");
    ask(rig, fd, "a.x.example", "by 0.");
    ask(rig, fd, "c.x.example", "by 1.");
    ask(rig, fd, "c.x.example", "by 1.");
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-later", "c.x.example", 0)), ERR_OK);
    ask(rig, fd, "c.x.example", "by 0.");
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-later"), ERR_OK);
    ask(rig, fd, "c.x.example", "by 1.");
    ask(rig, fd, HOST, "by 1.");
    ask(rig, fd, "unknown.example", "404");
    close(fd);
    rig_free(rig);
}
END_TEST

/* A letter that keeps the second worker busy: until it is let go, or until a name has changed. */
struct halt {
    struct net_letter letter;
    sem_t *go; /* NULL = a name */
    const struct gw_routes *names;
    uint64_t changes;
};

static void halt_open(struct net_letter *letter, void *reader)
{
    struct halt *self = (struct halt *)letter;

    (void)reader;
    if (self->go != NULL)
        (void)sem_wait(self->go); /* check's limit bounds it, and the next */
    while (self->go == NULL && gw_routes_changes(self->names) == self->changes)
        usleep(100);
    free(self);
}

static void halt_drop(struct net_letter *letter)
{
    free(letter);
}

static void halt(struct rig *rig, sem_t *go)
{
    const struct gw_routes *names = rig->worker->front.names;
    struct halt *self = calloc(1, sizeof(*self));

    ck_assert_ptr_nonnull(self);
    *self = (struct halt){.letter = {.open = halt_open, .drop = halt_drop},
                          .go = go,
                          .names = names,
                          .changes = gw_routes_changes(names)};
    net_mail_push(rig->worker->post->to[1], &self->letter);
}

/* The change is counted, and the worker that it concerns has not heard of it, while it serves. */
START_TEST(test_passage_forgets_a_name_that_went_in_the_middle_of_a_request)
{
    struct rig *rig = rig_new_pair();
    sem_t go;
    int fd;

    ck_assert_int_eq(sem_init(&go, 0, 0), 0);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-wild", "*.x.example", 0)), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-x", "a.x.example", 1)), ERR_OK);
    answer(rig, 0);
    answer(rig, 1);
    fd = ask(rig, rig_visit(rig, "http"), "a.x.example", "by 1.");
    halt(rig, &go);
    rig_send_text(fd, "GET / HTTP/1.1\r\nHost: a.x.example\r\n\r\n");
    halt(rig, NULL); /* in one turn with the request */
    (void)sem_post(&go);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-x", "elsewhere.example", 1)), ERR_OK);
    ck_assert(rig_expect(rig, fd, "by ")); /* of then or of now */
    rig_run(rig, 20);
    (void)recv(fd, (char[256]){0}, 256, MSG_DONTWAIT);
    ask(rig, fd, "a.x.example", "by 0.");
    close(fd);
    rig_free(rig);
    (void)sem_destroy(&go);
}
END_TEST

START_TEST(test_passage_is_not_to_a_wildcard_when_somebody_has_the_name_by_then)
{
    struct rig *rig = rig_new_pair();
    sem_t go;
    int fd;

    ck_assert_int_eq(sem_init(&go, 0, 0), 0);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-wild", "*.x.example", 1)), ERR_OK);
    answer(rig, 0);
    answer(rig, 1);
    halt(rig, &go);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, "GET / HTTP/1.1\r\nHost: b.x.example\r\n\r\n");
    rig_run(rig, 50); /* it is in the mail */
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-b", "b.x.example", 0)), ERR_OK);
    (void)sem_post(&go);
    ck_assert(rig_expect(rig, fd, "by 0."));
    close(fd);
    rig_free(rig);
    (void)sem_destroy(&go);
}
END_TEST

static void three_threads(struct gw_config *config)
{
    config->threads = 3;
}

START_TEST(test_passage_from_each_worker_to_each)
{
    static const char order[] = "0121022010";
    struct rig *rig = rig_new_with(three_threads);
    char host[] = "n.example", id[] = "7-1-n", want[] = "by n.";
    int fd = rig_visit(rig, "http");

    for (unsigned n = 0; n < 3; n++) {
        id[4] = host[0] = (char)('0' + n);
        ck_assert_int_eq(rig_serve(rig, rig_exposure(id, host, n)), ERR_OK);
        answer(rig, n);
    }
    for (size_t i = 0; order[i] != '\0'; i++) {
        host[0] = want[3] = order[i];
        ask(rig, fd, host, want);
    }
    close(fd);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_passage");
    TCase *tc = tcase_create("passage");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_passage_of_an_http_visitor_brings_what_it_sent_at_once);
    tcase_add_test(tc, test_passage_of_a_tls_visitor_brings_its_hello);
    tcase_add_test(tc, test_passage_of_a_tcp_visitor_looks_at_nothing);
    tcase_add_test(tc, test_passage_is_for_those_whose_exposure_is_elsewhere);
    tcase_add_test(tc, test_passage_to_an_exposure_without_connector_is_answered_there);
    tcase_add_test(tc, test_passage_takes_the_place_of_its_source_along);
    tcase_add_test(tc, test_passage_of_each_request_goes_where_all_names_say);
    tcase_add_test(tc, test_passage_from_each_worker_to_each);
    tcase_add_test(tc, test_passage_forgets_a_name_that_went_in_the_middle_of_a_request);
    tcase_add_test(tc, test_passage_is_not_to_a_wildcard_when_somebody_has_the_name_by_then);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
