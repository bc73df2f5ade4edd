#!/usr/bin/python3
"""A name server for the tests: dns.py PORT ZONE LOG, UDP and TCP on 127.0.0.1. ZONE is JSON, read anew for every question, so answers
change by writing it (mv, not in place): {"name": {"A": [..], "AAAA": [..], "TXT": [..], "CNAME": "other", "how": HOW}}. It answers
like a resolver, with the whole chain of CNAMEs. HOW: "SERVFAIL", "REFUSED", "silent" (no answer), "truncated" (over UDP only TC is
set: the answer is to be had over TCP). What is not there is NXDOMAIN. LOG gets a line "seconds proto name type" per question."""
import ipaddress
import json
import socket
import socketserver
import struct
import sys
import threading
import time

PORT, ZONE, LOG = int(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
TYPES = {1: "A", 5: "CNAME", 16: "TXT", 28: "AAAA"}
RCODES = {"SERVFAIL": 2, "REFUSED": 5}


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def rdata(kind, value):
    if kind == "TXT":
        text = value.encode()
        return b"".join(bytes([len(text[i:i + 255])]) + text[i:i + 255] for i in range(0, len(text), 255))
    return labels(value) if kind == "CNAME" else ipaddress.ip_address(value).packed


def records(zone, name, kind):
    """The CNAMEs from NAME on and what the last one has of KIND."""
    out, seen = [], set()
    while name in zone and "CNAME" in zone[name] and name not in seen:
        seen.add(name)
        out.append((name, "CNAME", zone[name]["CNAME"]))
        name = zone[name]["CNAME"]
    return out + [(name, kind, value) for value in zone.get(name, {}).get(kind, [])], name in zone


def question(packet):
    at, parts = 12, []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
        at += 1 + packet[at]
    return ".".join(parts), TYPES.get(struct.unpack(">H", packet[at + 1:at + 3])[0], ""), packet[12:at + 5]


def answer(packet, proto):
    name, kind, asked = question(packet)
    LOG.write(f"{time.time():.3f} {proto} {name} {kind}\n")
    with open(ZONE) as f:
        zone = json.load(f)
    how = zone.get(name, {}).get("how", "")
    if how == "silent":
        return None
    found, known = records(zone, name, kind)
    rcode = RCODES.get(how, 0 if known else 3)
    if rcode or (how == "truncated" and proto == "udp"):
        flags = 0x8180 | rcode | (0 if rcode else 0x0200)
        return packet[:2] + struct.pack(">HHHHH", flags, 1, 0, 0, 0) + asked
    body = b""
    for owner, its_kind, value in found:
        data = rdata(its_kind, value)
        number = next(n for n, text in TYPES.items() if text == its_kind)
        body += labels(owner) + struct.pack(">HHIH", number, 1, 1, len(data)) + data
    return packet[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0) + asked + body


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(2)) == 2:
            reply = answer(self.rfile.read(struct.unpack(">H", head)[0]), "tcp")
            if reply:
                self.wfile.write(struct.pack(">H", len(reply)) + reply)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", PORT))
threading.Thread(target=TcpServer(("127.0.0.1", PORT), Tcp).serve_forever, daemon=True).start()
while True:
    packet, sender = udp.recvfrom(4096)
    reply = answer(packet, "udp")
    if reply:
        udp.sendto(reply, sender)
