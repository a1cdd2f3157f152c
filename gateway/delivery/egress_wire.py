"""How a request leaves: httpcore, held to the addresses that were checked and to one deadline.

Imported by ``gateway.delivery.egress`` when the first webhook is called: a server without webhooks
pays for neither the import nor the certificates. On the threads of whoever sends.
"""

import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any

import httpcore
from msgspec import Struct

from gateway.delivery.egress_rules import Reply, Target

MOST_BODY_BYTES = 64 * 1024
"""How much of an answer is read; the rest is nobody's concern."""


class Way(Struct, frozen=True):
    """Where a request goes. Immutable.

    Args:
        target: The parts of its URL.
        addresses: Those that were checked.
        ends_at_s: When all of it must be done, on the monotonic clock.
        tls: What certificates are checked against.
    """

    target: Target
    addresses: list[str]
    ends_at_s: float
    tls: ssl.SSLContext


@cache
def usual_tls() -> ssl.SSLContext:
    """Return what trusts the certificates that this host trusts."""
    return ssl.create_default_context()


def post(way: Way, headers: Mapping[str, str], body: bytes) -> Reply:
    """Send a body, and return what came back.

    Raises:
        TimeoutError: It was not done in time.
        OSError: The connection failed; the text says how.
    """
    pool = httpcore.ConnectionPool(
        ssl_context=way.tls, network_backend=_Pinned(way.addresses, way.ends_at_s), http2=False
    )
    url = _url(way.target)
    try:
        with pool, pool.stream("POST", url, headers=_pairs(headers), content=body) as got:
            again = _header(got, b"retry-after")
            return Reply(status=got.status, body=_beginning(got), retry_after=again)
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise TimeoutError from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise OSError(str(error) or type(error).__name__) from error


class _Pinned(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name says by now."""

    def __init__(self, addresses: list[str], ends_at_s: float) -> None:
        self._addresses = addresses
        self._ends_at_s = ends_at_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del host, timeout, local_address
        connect = partial(httpcore.SyncBackend().connect_tcp, socket_options=socket_options or ())
        problem: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                stream = connect(address, port, timeout=_left(self._ends_at_s))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Hurried(stream, self._ends_at_s)
        raise problem


class _Hurried(httpcore.NetworkStream):
    """A stream on which everything together must be done by one moment."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at_s: float) -> None:
        self._stream = stream
        self._ends_at_s = ends_at_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, _left(self._ends_at_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, _left(self._ends_at_s))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        left_s = _left(self._ends_at_s)
        return _Hurried(
            self._stream.start_tls(ssl_context, server_hostname, left_s), self._ends_at_s
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends_at_s: float) -> float:
    left_s = ends_at_s - time.monotonic()
    if left_s <= 0:
        raise httpcore.TimeoutException
    return left_s


def _url(target: Target) -> httpcore.URL:
    return httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        target=target.path.encode(),
    )


def _pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _header(answer: httpcore.Response, name: bytes) -> str:
    """Return the first header of that name, or an empty text."""
    found = (value for key, value in answer.headers if key.lower() == name)
    return next(found, b"").decode("latin-1")


def _beginning(answer: httpcore.Response) -> str:
    """Return what a receiver says, up to the cap; its status stands however that ends."""
    content = b""
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in answer.iter_stream():
            content += chunk
            if len(content) >= MOST_BODY_BYTES:
                break
    return content[:MOST_BODY_BYTES].decode("utf-8", "replace")
