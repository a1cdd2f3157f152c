"""Those who are called: real HTTP servers on this machine, well or badly behaved."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct

DEADLINE_S = 60.0


class Call(Struct, frozen=True):
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def delivery_id(self) -> str:
        return self.headers["x-mlflow-delivery-id"]


class Receiver:
    """Answers with ``status``, after ``hold`` is not set any more; writes down who called."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"thanks"
        self.open = threading.Event()
        self.open.set()
        self._server = _Silent(("127.0.0.1", port), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def until(claim: Callable[[], bool], what: str) -> None:
    """Poll until something is so."""
    ends_at = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < ends_at, f"not {what} within {DEADLINE_S} s"
        time.sleep(0.01)


@contextmanager
def receiving(*, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(tls=tls)
    try:
        yield receiver
    finally:
        receiver.close()


class _Silent(ThreadingHTTPServer):
    """Callers that hang up, or fail to agree on TLS, are what tests are about."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            told = {name.lower(): value for name, value in self.headers.items()}
            receiver.calls.append(Call(self.path, told, body))
            receiver.open.wait(DEADLINE_S)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Stay silent."""

    return Handler
