#!/usr/bin/python3
"""Visitors at a steady rate, a connection each: load.py PORT HOST PER-SECOND PATH [tls]. On SIGTERM it lets those under way finish,
prints "requests=N failed=M slowest_ms=X" and, before it, every failure with its time. An answer that is not 200 with the whole
page of trickle.py, or that takes 10 s, is a failure."""
import asyncio
import signal
import ssl
import sys
import time

PORT, HOST, RATE, PATH = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
TLS = None
if sys.argv[5:] == ["tls"]:
    TLS = ssl.create_default_context()
    TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


def payload(head, body):
    """The page, as the gateway frames what its service ends by hanging up."""
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return body
    page = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return page
        page, body = page + rest[:int(size, 16)], rest[int(size, 16) + 2:]


async def fetch():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, ssl=TLS, server_hostname=HOST if TLS else None)
    try:
        writer.write(REQUEST)
        return await reader.read(-1)
    finally:
        writer.close()


async def visit(totals):
    began = time.monotonic()
    try:
        answer = await asyncio.wait_for(fetch(), 10)
        head, _, page = answer.partition(b"\r\n\r\n")
        fault = None if b" 200 " in head.split(b"\r\n")[0] and payload(head, page) == b"tick\n" else repr(answer[:80])
    except Exception as e:  # whatever it is: the visitor was not served
        fault = repr(e)
    totals["requests"] += 1
    totals["slowest"] = max(totals["slowest"], time.monotonic() - began)
    if fault:
        totals["failed"] += 1
        print(f"{time.strftime('%H:%M:%S')} failed after {time.monotonic() - began:.3f} s: {fault}", flush=True)


async def main():
    totals = {"requests": 0, "failed": 0, "slowest": 0.0}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    under_way, at = set(), time.monotonic()
    while not stop.is_set():
        task = asyncio.create_task(visit(totals))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        at += 1 / RATE
        await asyncio.sleep(max(0.0, at - time.monotonic()))
    if under_way:
        await asyncio.wait(under_way)
    print(f"requests={totals['requests']} failed={totals['failed']} slowest_ms={totals['slowest'] * 1000:.0f}", flush=True)


asyncio.run(main())
