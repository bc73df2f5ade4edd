"""What visitors do for some seconds: a load on one path gives a count, and what happened meanwhile."""
import json

from beside.process import need

DONE = """done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('\\n{"requests":%d,"us":%d,"bytes":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\\n', summary.requests,
        summary.duration, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


class Outcome:
    """COUNT of what was done in SECONDS; ERRORS among it; more that is worth knowing."""

    def __init__(self, count, seconds, errors=0, more=None):
        self.count, self.seconds, self.errors, self.more = count, seconds, errors, more or {}


class Requests:
    """CLIENTS who ask for PAGE again and again, on one connection each or (CLOSE) on a new one each time."""

    service = "web"

    def __init__(self, clients, page, close=False):
        self.clients, self.page, self.close = clients, page, close

    def run(self, shop, path, seconds):
        need("wrk")
        address, port = path.web
        command = ["wrk", "-t1", f"-c{self.clients}", f"-d{seconds}s", "--timeout", "20s", "-s", shop.write("done.lua", DONE)]
        command += ["-H", f"Host: {path.host}"] if path.host else []
        command += ["-H", "Connection: close"] if self.close else []
        done = json.loads(shop.run(command + [f"http://{address}:{port}/{self.page}"], seconds + 30).splitlines()[-1])
        return Outcome(done["requests"], done["us"] / 1e6, done["errors"], {k: done[k] for k in ("p50_us", "p99_us")})
