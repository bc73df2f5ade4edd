#!/usr/bin/python3
"""Half-close peers. late PORT: reads to EOF, sends 3 MB and the SHA-256 of what came. early PORT FILE: says bye, shuts
its sending side, reads to EOF and writes the count to FILE."""
import hashlib
import socket
import sys


def read_all(conn):
    while True:
        piece = conn.recv(65536)
        if not piece:
            return
        yield piece


def late(conn):
    digest = hashlib.sha256()
    for piece in read_all(conn):
        digest.update(piece)
    conn.sendall(b"a" * 3000000 + digest.hexdigest().encode())


def early(conn):
    conn.sendall(b"bye\n")
    conn.shutdown(socket.SHUT_WR)
    count = sum(len(piece) for piece in read_all(conn))
    with open(sys.argv[3], "w") as file:
        file.write(str(count))


listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    peer, _ = listener.accept()
    with peer:
        {"late": late, "early": early}[sys.argv[1]](peer)
