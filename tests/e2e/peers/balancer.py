#!/usr/bin/python3
"""A balancer in front of a gateway: tells it by a PROXY header whom it brings. As a module: headers and connections for tests. As a
program, LISTEN TARGET SOURCE VERSION VISITOR: relays from port LISTEN to port TARGET, dialling from address SOURCE, and every
connection is VISITOR's."""
import socket
import struct
import sys
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
VISITOR_PORT = 4711
LOCAL = ("198.51.100.2", 443)  # where the visitor came to: the balancer's public address


def header(version, visitor, local=LOCAL, port=VISITOR_PORT):
    """The PROXY header; version 0 = none."""
    family = socket.AF_INET6 if ":" in visitor else socket.AF_INET
    if version == 0:
        return b""
    if version == 1:
        name = "TCP6" if family == socket.AF_INET6 else "TCP4"
        return f"PROXY {name} {visitor} {local[0]} {port} {local[1]}\r\n".encode()
    body = socket.inet_pton(family, visitor) + socket.inet_pton(family, local[0]) + struct.pack(">HH", port, local[1])
    body += b"\x04\0\x03..."  # a TLV that means nothing
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x21 if family == socket.AF_INET6 else 0x11, len(body)) + body


def local_header(version):
    """What a balancer sends for itself, as a health check."""
    return b"PROXY UNKNOWN\r\n" if version == 1 else SIGNATURE + b"\x20\0\0\0"


def connect(port, source, first=b""):
    conn = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn.sendall(first)
    return conn


def finish(conn):
    """Ends our side; everything up to the other end, b"reset" added when it was one."""
    data = b""
    try:
        conn.shutdown(socket.SHUT_WR)
        while piece := conn.recv(65536):
            data += piece
    except OSError:  # it may have come before we ended
        data += b"reset"
    conn.close()
    return data


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in source, sink:
            end.close()


def relay(listen, target, source, version, visitor):
    listener = socket.create_server(("127.0.0.1", listen))
    while True:
        near, _ = listener.accept()
        far = connect(target, source, header(version, visitor))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
