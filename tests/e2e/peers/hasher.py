#!/usr/bin/python3
"""HTTP service PORT FILE: GET /big sends FILE, PUT answers with the SHA-256 of the body, GET / says ok."""
import hashlib
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hasher(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/big":
            self.answer(b"ok")
            return
        with open(sys.argv[2], "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        self.answer(digest.hexdigest().encode())


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hasher).serve_forever()
