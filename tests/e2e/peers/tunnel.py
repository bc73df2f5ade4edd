#!/usr/bin/python3
"""The tunnel protocol once more, from its specification alone, so that the two implementations check each other.

tunnel.py serve ADDRESS GATEWAY-KEY KEY-FILE SUITE   a connector that answers every stream with a fixed page
tunnel.py resume ADDRESS GATEWAY-KEY KEY-FILE        one answer over two links: the first is cut in the middle
tunnel.py fence ADDRESS GATEWAY-KEY KEY-FILE OTHER   who may join, replace and keep sessions; OTHER: a second key file
tunnel.py hostile ADDRESS GATEWAY-KEY KEY-FILE       connections that break one rule each; the gateway must close them
"""
import hashlib
import hmac
import os
import socket
import struct
import sys
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NAMES = {1: b"Noise_XK_25519_ChaChaPoly_BLAKE2b", 3: b"Noise_XK_25519_AESGCM_BLAKE2b"}
OPEN, OPEN_OK, OPEN_ERR, DATA, FIN, RST, WINDOW, PING, PONG = 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31
ACCEPT, REJECT, GOAWAY, CLOSE, RESUME = 0x01, 0x02, 0x32, 0x33, 0x34
STALE, BUSY = 14, 18
MORE = END = 1
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\nan independent answer"


class Cipher:
    """AEAD with the counter nonce of its suite; rekeys before records 4096, 8192, ... as the protocol says."""

    def __init__(self, suite, key):
        self.suite, self.key, self.n = suite, key, 0

    def nonce(self, n):
        return bytes(4) + (struct.pack("<Q", n) if self.suite == 1 else struct.pack(">Q", n))

    def aead(self):
        return (ChaCha20Poly1305 if self.suite == 1 else AESGCM)(self.key)

    def step(self, rekey):
        if rekey and self.n and self.n % 4096 == 0:
            self.key = self.aead().encrypt(self.nonce(2**64 - 1), bytes(32), b"")[:32]
        self.n += 1
        return self.nonce(self.n - 1)

    def seal(self, ad, text, rekey=False):
        nonce = self.step(rekey)
        return self.aead().encrypt(nonce, text, ad)

    def open(self, ad, text, rekey=False):
        nonce = self.step(rekey)
        return self.aead().decrypt(nonce, text, ad)


def hkdf2(chain, secret):
    temp = hmac.new(chain, secret, "blake2b").digest()
    one = hmac.new(temp, b"\x01", "blake2b").digest()
    return one, hmac.new(temp, one + b"\x02", "blake2b").digest()


def public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def receive(sock, n):
    data = b""
    while len(data) < n:
        piece = sock.recv(n - len(data))
        if not piece:
            raise EOFError("closed after %d of %d bytes" % (len(data), n))
        data += piece
    return data


class Tunnel:
    """A connector's side of one connection. `damage` changes bytes before they are sent."""

    def __init__(self, address, gateway, private, suite, damage=lambda what, data: data):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), 10)
        self.gateway, self.private, self.suite, self.damage = gateway, private, suite, damage
        self.text = b""  # of the record that is being read

    def mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def mix_key(self, ours, theirs):
        self.chain, key = hkdf2(self.chain, ours.exchange(X25519PublicKey.from_public_bytes(theirs)))
        self.cipher = Cipher(self.suite, key[:32])

    def seal(self, text):
        sealed = self.cipher.seal(self.hash, text)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed):
        text = self.cipher.open(self.hash, sealed)
        self.mix_hash(sealed)
        return text

    def hello(self):
        preamble = bytes.fromhex("c55a574701") + bytes([self.suite, 0, 0])
        name = NAMES[self.suite]
        self.hash = self.chain = name.ljust(64, b"\0")
        self.mix_hash(b"ZWG-tunnel-v1\0" + preamble)
        self.mix_hash(self.gateway)
        self.ephemeral = X25519PrivateKey.generate()
        e = public(self.ephemeral)
        self.mix_hash(e)
        self.mix_key(self.ephemeral, self.gateway)
        message = preamble + e + self.seal(b"")
        key = hashlib.blake2b(b"ZWG-mac1\0" + self.gateway, digest_size=32).digest()
        return message + hashlib.blake2b(message, digest_size=16, key=key).digest()

    def handshake(self, tlvs=None):
        self.sock.sendall(self.damage("hello", self.hello()))
        head = receive(self.sock, 4)
        assert head == bytes([2, 1, 0, 0]), head
        theirs = receive(self.sock, 32)
        self.mix_hash(theirs)
        self.mix_key(self.ephemeral, theirs)
        offer = self.open(receive(self.sock, 48))
        self.max_record = struct.unpack(">I", offer[24:28])[0]
        sealed = self.seal(public(self.private))
        self.mix_key(self.private, theirs)
        if tlvs is None:
            tlvs = [(1, os.urandom(16)), (2, struct.pack(">Q", 1)), (3, b"\0"), (4, b"peer 1"), (6, b"other-team"),
                    (7, struct.pack(">I", 65535))]
        payload = b"".join(bytes([t, len(v)]) + v for t, v in tlvs)
        payload += bytes(-len(payload) % 64)
        sealed += self.seal(payload)
        self.sock.sendall(self.damage("msg3", struct.pack(">H", len(sealed)) + sealed))
        keys = hkdf2(self.chain, b"")
        self.tx, self.rx = Cipher(self.suite, keys[0][:32]), Cipher(self.suite, keys[1][:32])

    def send(self, *frames):
        record = self.tx.seal(b"", b"".join(frames), True)
        self.sock.sendall(self.damage("record", struct.pack(">H", len(record)) + record))

    def frames(self):
        """Frames as they come; asked again, it goes on in the middle of a record."""
        while True:
            while self.text:
                kind, self.flags, length, stream = struct.unpack(">BBHI", self.text[:8])
                assert length <= len(self.text) - 8, "a frame crosses its record"
                payload, self.text = self.text[8:8 + length], self.text[8 + length:]
                yield kind, stream, payload
            size = struct.unpack(">H", receive(self.sock, 2))[0]
            self.text = self.rx.open(b"", receive(self.sock, size), True)

    def accepted(self):
        for kind, _, payload in self.frames():
            assert kind == ACCEPT, kind
            self.session, self.serial = payload[:16], struct.unpack(">I", payload[16:20])[0]
            return


def frame(kind, stream, payload=b"", flags=0):
    return struct.pack(">BBHI", kind, flags, len(payload), stream) + payload


def serve(tunnel):
    received = {}
    tunnel.handshake()
    for kind, stream, payload in tunnel.frames():
        if kind == PING:
            tunnel.send(frame(PONG, 0, payload))
        elif kind == OPEN:
            received[stream] = 0
            tunnel.send(frame(OPEN_OK, stream), frame(DATA, stream, PAGE),
                        frame(FIN, stream, struct.pack(">Q", len(PAGE))))
        elif kind == DATA:
            received[stream] += len(payload)
        elif kind == FIN:
            tunnel.send(frame(WINDOW, stream, struct.pack(">QQ", received[stream], 256 << 10), END))
        elif kind == CLOSE:
            return


def offer(tunnel, instance, number, epoch=1):
    tunnel.handshake([(1, instance), (2, struct.pack(">Q", epoch)), (3, bytes([number])), (7, struct.pack(">I", 65535))])


def join(tunnel, instance, number, epoch=1):
    """A link of the session of this process."""
    offer(tunnel, instance, number, epoch)
    tunnel.accepted()
    return tunnel


def first_stream(tunnel):
    """The stream that a visitor opens, and how many bytes came with it."""
    for kind, stream, payload in tunnel.frames():
        if kind == OPEN:
            opened, received = stream, 0
        elif kind == DATA:
            return opened, received + len(payload)


def resume(make):
    """The begin of an answer goes over one link, the rest over another one."""
    body = os.urandom(100) * 1800
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    instance, arrived = os.urandom(16), 61000
    one = make()
    join(one, instance, 0)
    stream, received = first_stream(one)
    one.send(frame(OPEN_OK, stream), frame(DATA, stream, answer[:arrived - 1000]))
    one.send(frame(DATA, stream, answer[arrived - 1000:arrived]))
    one.sock.shutdown(socket.SHUT_WR)  # a close would reset, if anything lies unread here, and what was sent could get lost
    two = make(suite=3)
    join(two, instance, 1)
    assert two.session == one.session and two.serial != one.serial, "the link did not join"
    two.send(frame(RESUME, 0, struct.pack(">BIQIIQB", 1, one.serial, received, stream, stream, received, 2)))
    for kind, number, payload in two.frames():
        if kind == PING:
            two.send(frame(PONG, 0, payload))
        if kind == RESUME:
            break
    lost, serial, _, _, number, offset, flags = struct.unpack(">BIQIIQB", payload)
    assert (lost, serial, number, flags) == (1, one.serial, stream, 2), payload.hex()
    assert offset == arrived, offset
    while offset < len(answer):
        piece = answer[offset:offset + 16000]
        two.send(frame(DATA, stream, piece))
        offset += len(piece)
    two.send(frame(FIN, stream, struct.pack(">Q", offset)))
    for kind, number, payload in two.frames():
        if kind == WINDOW and number == stream and two.flags & END:
            break
    print(hashlib.sha256(body).hexdigest())


def rejected(tunnel, instance, number, epoch=1):
    """The code with which a link is not taken."""
    offer(tunnel, instance, number, epoch)
    for kind, _, payload in tunnel.frames():
        assert kind == REJECT, kind
        return struct.unpack(">H", payload[:2])[0]


def is_open(tunnel):
    tunnel.sock.setblocking(False)
    try:
        while tunnel.sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def fence(make, other):
    """Only key, instance and epoch lead to a session; there are only so many of them, and of its links."""
    instance = os.urandom(16)
    links = [join(make(), instance, 0, 5)]
    stolen = join(make(private=other), instance, 1, 5)
    assert stolen.session != links[0].session, "another key joined the session"
    stolen.sock.close()
    assert rejected(make(), instance, 1, 4) == STALE
    links += [join(make(), instance, number, 5) for number in range(1, 8)]
    assert all(link.session == links[0].session for link in links), "a link did not join"
    assert rejected(make(), instance, 8, 5) == BUSY, "a ninth link"
    newer = join(make(), instance, 0, 6)
    assert newer.session != links[0].session
    wait_until(lambda: not any(is_open(link) for link in links), "the older epoch still has links")
    hoard = []
    for epoch in range(7, 67):
        hoard.append(join(make(), instance, 0, epoch))
        hoard[-1].send(frame(GOAWAY, 0, struct.pack(">HIB", 6, 0, 0)))
    wait_until(lambda: sum(map(is_open, hoard)) <= 26, "sessions that are being left are hoarded")
    assert is_open(hoard[-1]), "the newest session ended"


def wait_until(claim, otherwise):
    end = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


def flip(what, at):
    def damage(name, data):
        if name != what:
            return data
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    return damage


def cut(what, at):
    return lambda name, data: data[:at] if name == what else data


def expect_closed(name, tunnel, act, silent=True):
    """ACT breaks a rule; the gateway closes (without a byte where SILENT) within 10 s."""
    tunnel.sock.settimeout(10)
    try:
        act(tunnel)
        if name.startswith("cut"):
            tunnel.sock.shutdown(socket.SHUT_WR)
        rest = b""
        while True:
            piece = tunnel.sock.recv(65536)
            if not piece:
                break
            rest += piece
        if silent and rest:
            sys.exit("%s: %d bytes came back" % (name, len(rest)))
    except (EOFError, ConnectionError, BrokenPipeError):
        pass
    except socket.timeout:
        sys.exit("%s: still open after 10 s" % name)
    finally:
        tunnel.sock.close()


def after_accept(*frames):
    def act(tunnel):
        tunnel.handshake()
        tunnel.accepted()
        tunnel.send(*frames)
    return act


def raw(data):
    return lambda tunnel: tunnel.sock.sendall(data)


def hostile(make):
    for at in list(range(0, 72, 5)) + [71]:
        expect_closed("hello byte %d" % at, make(flip("hello", at)), lambda t: t.sock.sendall(flip("hello", at)("hello", t.hello())))
    for at in (0, 1, 2, 40, 60, 129):
        expect_closed("msg3 byte %d" % at, make(flip("msg3", at)), lambda t: t.handshake())
    for at in (1, 8, 71):
        expect_closed("cut hello at %d" % at, make(), lambda t: t.sock.sendall(t.hello()[:at]))
    expect_closed("cut msg3", make(cut("msg3", 60)), lambda t: t.handshake())
    for tlvs in ([(1, b"short")], [(9, b"")], [(1, bytes(16)), (1, bytes(16))], [(7, struct.pack(">I", 1))]):
        expect_closed("TLVs %r" % tlvs, make(), lambda t: t.handshake(tlvs))
    for name, act in {
        "OPEN from a connector": after_accept(frame(OPEN, 1, bytes(60))),
        "unknown frame": after_accept(frame(0x7F, 0)),
        "DATA for a stream never opened": after_accept(frame(DATA, 99, b"x")),
        "WINDOW that overflows": after_accept(frame(WINDOW, 0, struct.pack(">QQ", 0, 2**64 - 1))),
        "frame cut by its record": after_accept(frame(DATA, 1, b"xyz")[:-1]),
        "END before FIN": after_accept(frame(WINDOW, 1, bytes(16), END)),
        "END for the session": after_accept(frame(WINDOW, 0, bytes(16), END)),
        "RESUME that names its own link": after_accept(frame(RESUME, 0, struct.pack(">BIQI", 1, 1, 0, 0))),
        "RESUME with too many links": after_accept(frame(RESUME, 0, bytes([17]) + bytes(16 * 17))),
        "RESUME cut short": after_accept(frame(RESUME, 0, struct.pack(">BI", 1, 9))),
        "RESUME of a stream never opened": after_accept(frame(RESUME, 0, struct.pack(">BIQB", 0, 9, 0, 0))),
        "RESUME that continues with links": after_accept(
            frame(RESUME, 0, bytes(1), MORE), frame(RESUME, 0, struct.pack(">BIQI", 1, 1, 0, 0))),
        "LOST from a connector": after_accept(frame(0x35, 0, struct.pack(">I", 9))),
        "PONG nobody asked for, many": after_accept(*[frame(PONG, 0, bytes(8))] * 4000),
        "PING, many": after_accept(*[frame(PING, 0, bytes(8))] * 4000),
        "WINDOW that says nothing new, many": after_accept(*[frame(WINDOW, 0, struct.pack(">QQ", 0, 16 << 20))] * 2700),
        "empty record": lambda t: (t.handshake(), t.accepted(), t.send(b"")),
        "record shorter than a tag": lambda t: (t.handshake(), t.accepted(), t.sock.sendall(b"\0\5hello")),
        "damaged record": lambda t: (t.handshake(), t.accepted(), setattr(t, "damage", flip("record", 9)),
                                     t.send(frame(PING, 0, bytes(8)))),
        "HTTP on the tunnel port": raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(72)),
    }.items():
        expect_closed(name, make(), act, silent=False)


def read_key(path):
    kind, key = open(path).read().split()
    assert kind == "x25519"
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(key))


def main():
    mode, address, gateway, path = sys.argv[1:5]
    own = read_key(path)

    def make(damage=lambda what, data: data, suite=1, private=own):
        return Tunnel(address, bytes.fromhex(gateway), private, suite, damage)
    if mode == "serve":
        serve(make(suite=int(sys.argv[5])))
    elif mode == "resume":
        resume(make)
    elif mode == "fence":
        fence(make, read_key(sys.argv[5]))
    else:
        hostile(make)


main()
