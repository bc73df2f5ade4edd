#!/usr/bin/python3
"""A server-first peer: says an SMTP banner before the client says anything. --read PORT is its client."""
import socket
import sys

BANNER = b"220 mail.example ESMTP\r\n"


def serve(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        conn, _ = listener.accept()
        conn.sendall(BANNER)
        conn.close()


def read(port):
    with socket.create_connection(("127.0.0.1", port), 10) as conn:
        conn.settimeout(10)
        data = b""
        while not data.endswith(b"\n"):
            piece = conn.recv(100)
            if not piece:
                break
            data += piece
        print(data.decode().strip())


if sys.argv[1] == "--read":
    read(int(sys.argv[2]))
else:
    serve(int(sys.argv[1]))
