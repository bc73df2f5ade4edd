#!/usr/bin/python3
"""HTTP service PORT: /stream sends a line every 100 ms until the visitor goes, everything else is a short page."""
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Trickle(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tick\n")
        try:
            while self.path == "/stream":
                self.wfile.write(b"tick\n")
                time.sleep(0.1)
        except OSError:
            pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Trickle).serve_forever()
