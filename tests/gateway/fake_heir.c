/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new process for the tests of an upgrade. Its last argument says how far it goes and how it ends
 * there: "hang", "exit", "failed" (says why), "listens", "listens-exit", "take-exit" (told to take
 * over, it ends), "all" (takes over, and stays until the old process is gone).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/handover.h"
#include "modules/net/channel.h"

static int channel;

static void say(enum gw_word word)
{
    uint8_t data[GW_HANDOVER_MAX];
    size_t len = gw_handover_word(data, word);

    if (send(channel, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        exit(9);
}

/* Until WORD comes; what is passed on the way stays open until we end. */
static void await(enum gw_word want)
{
    uint8_t data[NET_CHANNEL_MESSAGE_MAX];
    struct gw_handover word = {0};
    size_t len;
    int fd;

    while (word.word != want) {
        if (net_channel_await(channel, data, &len, &fd, 20000) != ERR_OK ||
            gw_handover_read(&word, data, len) != ERR_OK)
            exit(8);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argv[argc - 1], *fd = getenv(GW_HANDOVER_ENV);
    uint8_t data[GW_HANDOVER_MAX];
    char byte;

    channel = fd != NULL ? atoi(fd) : -1;
    if (channel < 0 || strcmp(mode, "exit") == 0)
        return 3;
    await(GW_WORD_BEGIN);
    if (strcmp(mode, "failed") == 0) {
        size_t len = gw_handover_failed(data, "the moon is full");

        return send(channel, data, len, MSG_NOSIGNAL) == (ssize_t)len ? 1 : 9;
    }
    if (strcmp(mode, "hang") == 0)
        for (;;)
            pause();
    say(GW_WORD_LISTENS);
    if (strcmp(mode, "listens-exit") == 0)
        return 4;
    if (strcmp(mode, "listens") == 0)
        for (;;)
            pause();
    say(GW_WORD_READY);
    await(GW_WORD_TAKE);
    if (strcmp(mode, "take-exit") == 0)
        return 5;
    say(GW_WORD_TAKEN);
    if (fcntl(channel, F_SETFL, 0) != 0)
        return 9;
    while (recv(channel, &byte, 1, 0) > 0)
        ;
    return 0;
}
