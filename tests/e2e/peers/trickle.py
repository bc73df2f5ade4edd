#!/usr/bin/python3
"""HTTP service PORT [CERTIFICATE KEY], with TLS when there is one: /stream sends a line every 100 ms until the visitor goes, /count/N sends N of them and ends, everything else is
a short page of one line."""
import ssl
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
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Trickle)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:4])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
