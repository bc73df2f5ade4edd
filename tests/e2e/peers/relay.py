#!/usr/bin/python3
"""TCP relay PORT TARGET that breaks: SIGUSR1 destroys the oldest connection, SIGUSR2 all of them."""
import asyncio
import signal
import socket
import struct
import sys

PIECE = 1 << 18
pairs = []  # the writers of both ends, oldest first


def destroy(pair):
    pairs.remove(pair)
    for writer in pair:
        sock = writer.get_extra_info("socket")
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # closed already
        writer.transport.abort()


def destroy_oldest():
    if pairs:
        destroy(pairs[0])


def destroy_all():
    while pairs:
        destroy(pairs[0])


async def copy(reader, writer):
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def relay(reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]), limit=PIECE)
    except OSError:
        writer.transport.abort()
        return
    pair = (writer, far_writer)
    pairs.append(pair)
    try:
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
    except OSError:
        pass
    if pair in pairs:
        destroy(pair)


async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, destroy_oldest)
    loop.add_signal_handler(signal.SIGUSR2, destroy_all)
    server = await asyncio.start_server(relay, "127.0.0.1", int(sys.argv[1]), limit=PIECE)
    await server.serve_forever()


asyncio.run(main())
