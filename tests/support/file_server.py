"""A server of files that can be told to misbehave."""

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = bytes(range(256)) * 2000  # 512,000 bytes


@dataclass
class Behavior:
    """What the server does; the lists are consumed, one entry for each request."""

    data: bytes = DATA
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    shift: int = 0  # bytes by which it misses the range that it is asked for
    block: int = 1 << 16
    pause: float = 0.0  # seconds between blocks
    asked: list[str | None] = field(default_factory=list)  # the Range of every request


def handler(behavior):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            behavior.asked.append(asked)
            status = behavior.status.pop(0) if behavior.status else 200
            if status != 200:
                return self.send_error(status)
            start = int(re.match(r"bytes=(\d+)-", asked)[1]) + behavior.shift if asked and behavior.ranges else 0
            size = len(behavior.data)
            if start and start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            return self.send(behavior.data[start:])

        def send(self, data):
            if behavior.break_after:
                data = data[: behavior.break_after.pop(0)]
            for at in range(0, len(data), behavior.block):
                try:
                    self.wfile.write(data[at : at + behavior.block])
                except ConnectionError:
                    return
                time.sleep(behavior.pause)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def serving(behavior):
    """The address of a file that is served as the behavior says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(behavior))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/file.pt"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
