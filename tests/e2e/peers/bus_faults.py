"""A redis-server that fails as told: stands between the programs and a real one.

bus_faults.py FRONT BACK FIFO
    Listens on the unix socket FRONT, forwards to BACK, takes one fault a line from FIFO:
      pass                    none; connections that a fault spoiled are closed
      down                    nobody listens, connections are closed
      close                   connections are closed as soon as they come
      silent                  nothing moves; it all moves on when the fault ends
      mute                    accepts and never answers; connections of that time are closed at its end
      error WHICH TEXT...     commands of WHICH (all, write) get the errors TEXT in turn; "|" between them
      cut                     connections are closed in the middle of their replies: after 1, 2, ... 10 bytes, then anywhere
      hostile                 after its greeting each connection gets one of the replies below instead of an answer
    At each line it says on stdout what the fault before it cost: JSON with seconds, connections, commands.
"""
import asyncio
import collections
import json
import os
import random
import sys
import time

WRITES = set(b"SET HSET HDEL DEL RENAME XADD XACK XDEL XTRIM XGROUP XREADGROUP RPUSH LPUSH BLPOP LMOVE BLMOVE EXPIRE".split())
HOSTILE = [b"*2147483647\r\n", b"$9999999999\r\nx", b"$99999999999999999999\r\n", b"*1048576\r\n*1048576\r\n",
           b"*1\r\n" * 30, b"*-7\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"%1\r\n+a\r\n+b\r\n", b"$536870911\r\nabc",
           b"\0" * 64, b"+" + b"x" * 100000, b":12345678901234567890123\r\n", b"*3\r\n$1\r\n1\r\n*-1\r\n"]


def end_of(data, at=0):
    """Where the RESP value at AT ends; None = it is not all there yet."""
    left = 1
    while left:
        eol = data.find(b"\r\n", at)
        if eol < 0:
            return None
        kind, line, left, at = data[at:at + 1], data[at + 1:eol], left - 1, eol + 2
        if kind == b"$" and int(line) >= 0:
            at += int(line) + 2
            if at > len(data):
                return None
        elif kind == b"*" and int(line) > 0:
            left += int(line)
    return at


class Proxy:
    def __init__(self, front, back):
        self.front, self.back = front, back
        self.mode, self.which, self.errors = "pass", "", []
        self.moving = asyncio.Event()
        self.moving.set()
        self.conns = set()
        self.server = None
        seed = int(os.environ.get("NW_SEED", time.time_ns() % 10**6))
        self.random = random.Random(seed)
        print("NW_SEED=%d" % seed, flush=True)
        self.began, self.accepted, self.commands, self.turn = time.monotonic(), 0, collections.Counter(), 0

    async def listen(self):
        if os.path.exists(self.front):
            os.unlink(self.front)
        self.server = await asyncio.start_unix_server(self.take, self.front, limit=1 << 24)

    async def set(self, line):
        print(json.dumps({"fault": self.mode + " " + self.which, "seconds": round(time.monotonic() - self.began, 2),
                          "connections": self.accepted, "commands": sum(self.commands.values()), "most": self.commands.most_common(3)}), flush=True)
        was, (self.mode, *rest) = self.mode, line.split(" ", 2)
        self.which = rest[0] if rest else ""
        self.errors = [e.encode() for e in rest[1].split("|")] if len(rest) > 1 else []
        self.began, self.accepted, self.commands, self.turn = time.monotonic(), 0, collections.Counter(), 0
        if was == "down":
            await self.listen()
        if self.mode == "down":
            self.server.close()
            os.unlink(self.front)
        for conn in list(self.conns):
            if conn.spoilt or self.mode in ("down", "close"):
                conn.close()
            elif self.mode in ("mute", "cut", "hostile"):
                conn.spoil()
        (self.moving.clear if self.mode in ("silent", "mute") else self.moving.set)()

    async def take(self, reader, writer):
        self.accepted += 1
        if self.mode == "close":
            writer.close()
            return
        conn = Conn(self, reader, writer)
        self.conns.add(conn)
        try:
            await conn.run()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            conn.close()
            self.conns.discard(conn)

    def error_for(self, command):
        """The error that COMMAND gets, or None."""
        if self.mode != "error" or (self.which == "write" and command not in WRITES):
            return None
        self.turn += 1
        return self.errors[self.turn % len(self.errors)]


class Conn:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.server = None
        self.spoilt = False
        self.expected = []  # per command on its way: the error it gets, or None
        self.room = None    # bytes of replies until the cut
        self.poison = None
        self.replies = 0
        if proxy.mode in ("mute", "cut", "hostile"):
            self.spoil()

    def spoil(self):
        self.spoilt = True
        if self.proxy.mode == "cut":
            self.proxy.turn += 1
            self.room = self.proxy.turn if self.proxy.turn <= 10 else self.proxy.random.randrange(10, 2000)
        if self.proxy.mode == "hostile":
            self.proxy.turn += 1
            self.poison = HOSTILE[self.proxy.turn % len(HOSTILE)]

    def close(self):
        for writer in (self.writer, self.server):
            if writer is not None:
                writer.close()

    async def run(self):
        back, self.server = await asyncio.open_unix_connection(self.proxy.back, limit=1 << 24)
        tasks = [asyncio.create_task(self.up()), asyncio.create_task(self.down(back))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def up(self):
        data = b""
        while True:
            more = await self.reader.read(1 << 20)
            if not more:
                return
            data += more
            await self.proxy.moving.wait()
            out, at = b"", 0
            while at < len(data) and (end := end_of(data, at)) is not None:
                command = data[at:end].split(b"\r\n", 3)[2].upper()
                error = self.proxy.error_for(command)
                self.proxy.commands[command.decode()] += 1
                self.expected.append(error)
                # An unknown command fails a transaction that is open, as the error would.
                out += data[at:end] if error is None else b"*1\r\n$7\r\nNWFAULT\r\n"
                at = end
            data = data[at:]
            self.server.write(out)
            await self.server.drain()

    async def down(self, back):
        data = b""
        while True:
            more = await back.read(1 << 20)
            if not more:
                return
            data += more
            await self.proxy.moving.wait()
            out, at = b"", 0
            while at < len(data) and (end := end_of(data, at)) is not None:
                out += self.reply(data[at:end])
                at = end
            data = data[at:]
            if self.room is not None:
                out, self.room = out[:self.room], self.room - len(out)
            self.writer.write(out)
            await self.writer.drain()
            if self.room is not None and self.room <= 0:
                return

    def reply(self, whole):
        if whole.startswith(b"*3\r\n$7\r\nmessage\r\n") or not self.expected:
            return whole
        error = self.expected.pop(0)
        self.replies += 1
        if self.poison is not None and self.replies > 1:
            return self.poison
        return whole if error is None else b"-" + error + b"\r\n"


async def main(front, back, fifo):
    proxy = Proxy(front, back)
    await proxy.listen()
    lines = asyncio.StreamReader()
    pipe = os.fdopen(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
    while True:
        await proxy.set((await lines.readline()).decode().strip())


asyncio.run(main(*sys.argv[1:]))
