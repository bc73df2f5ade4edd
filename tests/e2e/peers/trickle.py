#!/usr/bin/python3
"""HTTP service PORT: /stream sends a line every 100 ms until the visitor goes, /count/N sends N of them and ends, everything else is
a short page of one line."""
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Trickle(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        left = int(self.path[7:]) - 1 if self.path.startswith("/count/") else 0
        try:
            self.wfile.write(b"tick\n")
            while self.path == "/stream" or left > 0:
                left -= 1
                self.wfile.write(b"tick\n")
                time.sleep(0.1)
        except OSError:
            pass


ThreadingHTTPServer.request_queue_size = 128  # a load test may come
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Trickle).serve_forever()
