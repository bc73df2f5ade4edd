"""Visitors who tell whether a route is there, and the service behind those that the gateway dials by itself."""
import select
import socket
import ssl
import struct
import threading

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n%s\n"
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # no port is left in TIME_WAIT by thousands of visits


class Service:
    """Answers any first bytes with one page that holds LETTER."""

    def __init__(self, letter):
        self._page = PAGE % letter.encode()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            peer, _ = self._listener.accept()
            try:
                peer.settimeout(5)
                peer.recv(65536)
                peer.sendall(self._page)
            except OSError:
                pass
            peer.close()


def client_hello(host):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        CONTEXT.wrap_bio(incoming, outgoing, server_hostname=host).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _talk(address, port, words):
    with socket.socket() as s:
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        try:
            s.connect((address, port))
            s.sendall(words)
            select.select([s], [], [], 10)
            return s.recv(4096)
        except ConnectionResetError:
            return b"reset"
        except ConnectionRefusedError:
            return b""


def ask(node, exposure, port=None):
    """What a visitor gets: the letter of a service, "offline" (the route is there, no connector), "unknown" or ""."""
    if exposure.tcp:
        answer = _talk(node.address, port, b"hello\n")
    elif exposure.tls:
        answer = _talk(node.address, node.https, client_hello(exposure.host))
    else:
        answer = _talk(node.address, node.http, b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % exposure.host.encode())
    if answer.startswith(b"HTTP/1.1 200"):
        return answer.split(b"\r\n\r\n", 1)[1].strip().decode()
    if answer.startswith(b"HTTP/1.1 404") or answer[:1] == b"\x15" and answer[6:7] == b"\x70":
        return "unknown"
    if answer.startswith(b"HTTP/1.1 503") or answer == b"reset" or answer[:1] == b"\x15":
        return "offline"
    return ""


def serves(node, exposure, port=None):
    return ask(node, exposure, port) not in ("unknown", "")
