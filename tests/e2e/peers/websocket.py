#!/usr/bin/python3
"""An echo WebSocket server, and a client that checks every echo: serve PORT | talk PORT HOST COUNT SIZE [PAUSE]."""
import asyncio
import os
import sys

import websockets


async def echo(ws, *_):
    async for message in ws:
        await ws.send(message)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", port, max_size=None):
        await asyncio.Future()


async def talk(port, host, count, size, pause):
    async with websockets.connect(f"ws://{host}/", host="127.0.0.1", port=port, max_size=None,
                                  open_timeout=10) as ws:
        for _ in range(count):
            message = os.urandom(size)
            await ws.send(message)
            if await asyncio.wait_for(ws.recv(), 15) != message:
                sys.exit("the echo differs")
            await asyncio.sleep(pause)


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    asyncio.run(talk(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]),
                     float(sys.argv[6]) if len(sys.argv) > 6 else 0))
