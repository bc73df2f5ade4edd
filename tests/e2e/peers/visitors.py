"""Visitors for the tests of an upgrade, and the service they visit.

visitors.py serve PORT                   the service: HTTP with a fixed page, or an echo of any other bytes
visitors.py visit HTTP HOST TCP [RATE LONG]
    RATE new connections a second (half HTTP pages of HOST, half echoes on the TCP port) and LONG connections that send
    and expect a numbered line ten times a second, until SIGTERM. Then one JSON line: what was done, and every failure.
"""
import asyncio
import json
import os
import signal
import sys
import time

PAGE = b"the page that every visitor must get\n" * 40


async def serve_one(reader, writer):
    try:
        first = await reader.read(65536)
        if first.startswith(b"GET "):
            while b"\r\n\r\n" not in first:
                more = await reader.read(65536)
                if not more:
                    return
                first += more
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(PAGE) + PAGE)
        while first and not first.startswith(b"GET "):
            writer.write(first)
            await writer.drain()
            first = await reader.read(65536)
        if writer.can_write_eof():
            writer.write_eof()
        await reader.read()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(port):
    server = await asyncio.start_server(serve_one, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


class Visitors:
    def __init__(self, http, host, tcp):
        self.http, self.host, self.tcp = http, host, tcp
        self.pages = self.echoes = self.lines = self.alive = 0
        self.slowest = 0.0
        self.failures = []
        self.ending = asyncio.Event()

    def served(self):
        """A short visitor was: every 100th is told, for whoever waits until enough came."""
        if (self.pages + self.echoes) % 100 == 0:
            print("served %d" % (self.pages + self.echoes), file=sys.stderr, flush=True)

    async def page(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % self.host.encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 ") or body != PAGE:
                raise ValueError("answer %r" % head[:80])
            self.pages += 1
            self.served()
        finally:
            writer.close()

    async def echo(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tcp)
        try:
            sent = os.urandom(2000).hex().encode()
            writer.write(sent)
            writer.write_eof()
            if await reader.read(-1) != sent:
                raise ValueError("wrong echo")
            self.echoes += 1
            self.served()
        finally:
            writer.close()

    async def talk(self, number):
        """A long connection; counted alive only when it got its last line after the end was near."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tcp)
        try:
            count = 0
            while True:
                last = self.ending.is_set()
                line = b"%d:%d\n" % (number, count)
                writer.write(line)
                if await reader.readline() != line:
                    raise ValueError("wrong line")
                count += 1
                self.lines += 1
                if last:
                    break
                try:
                    await asyncio.wait_for(self.ending.wait(), 0.1)
                except asyncio.TimeoutError:
                    pass
            writer.write_eof()
            if await reader.read(-1) != b"":
                raise ValueError("bytes after the end")
            self.alive += 1
        finally:
            writer.close()

    async def guarded(self, name, coroutine):
        start = time.monotonic()
        try:
            await asyncio.wait_for(coroutine, None if name == "talk" else 15)
        except Exception as e:  # every kind of failure is one
            self.failures.append("%.2f %s: %s %s" % (time.time() % 1000, name, type(e).__name__, e))
        if name != "talk":
            self.slowest = max(self.slowest, time.monotonic() - start)

    async def run(self, rate, long):
        tasks = [asyncio.create_task(self.guarded("talk", self.talk(i))) for i in range(long)]
        start, n = time.monotonic(), 0
        while not self.ending.is_set():
            while n < (time.monotonic() - start) * rate:
                one = ("page", self.page()) if n % 2 else ("echo", self.echo())
                tasks.append(asyncio.create_task(self.guarded(*one)))
                n += 1
            if len(tasks) > 2000:
                tasks = [t for t in tasks if not t.done()]
            try:
                await asyncio.wait_for(self.ending.wait(), 0.005)
            except asyncio.TimeoutError:
                pass
        await asyncio.gather(*tasks)


async def visit(http, host, tcp, rate=200, long=100):
    v = Visitors(http, host, tcp)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, v.ending.set)
    await v.run(rate, long)
    print(json.dumps({"pages": v.pages, "echoes": v.echoes, "lines": v.lines, "long_alive": v.alive,
                      "slowest_ms": round(v.slowest * 1000), "failed": len(v.failures), "failures": v.failures[:20]}))


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    asyncio.run(visit(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), *map(int, sys.argv[5:])))
