"""The one client that calls where somebody told us to, made for hostile URLs and hostile receivers.

A name is resolved once; every address must be permitted (``egress_rules``), and the connection goes
to one of exactly those, with the name for TLS and ``Host``. No redirect is followed, no proxy of
the environment is used, and all of it must be done by one deadline. Called by the webhook sender's
threads and by the test of a webhook, never on the path of a change.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import httpcore
from msgspec import Struct

from gateway.delivery.egress_rules import Network, Target, is_permitted, parse_target
from tracking.errors import InvalidRequest

MOST_BODY_BYTES = 64 * 1024
"""How much of an answer is read; the rest is nobody's concern."""

RESOLVE_TIMEOUT_S = 5.0
_AGENT = "stagedoor-webhooks"
_RESOLVERS = 8

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host and port; raises ``OSError`` when there are none."""


class Reply(Struct, frozen=True):
    """What a receiver answered, or why it did not.

    Args:
        status: The HTTP status, or none.
        body: The beginning of its answer.
        problem: Why there is no status.
        retry_after: When it wants to be asked again, in its own words.
    """

    status: int | None = None
    body: str = ""
    problem: str = ""
    retry_after: str = ""


class Egress:
    """Sends requests to wherever they are allowed to go. Safe from any thread.

    Args:
        schemes: ``https``, and ``http`` where it is allowed.
        networks: Networks that are allowed besides public addresses.
        timeout_s: How long one request may take in all.
        resolve: How names become addresses.
        tls: What certificates are checked against.
    """

    def __init__(
        self,
        schemes: tuple[str, ...],
        networks: tuple[Network, ...],
        *,
        timeout_s: float,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._schemes = schemes
        self._networks = networks
        self._timeout_s = timeout_s
        self._resolve = resolve or resolve_name
        self._tls = tls or ssl.create_default_context()
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    def close(self) -> None:
        """Let go of what resolves names."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def check(self, url: str) -> None:
        """Check that a request to a URL would be allowed now.

        Raises:
            InvalidRequest: It would not.
        """
        self._locate(url)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a body, and return what came back.

        Raises:
            InvalidRequest: The URL leads where nothing may be sent; nothing was.
        """
        ends_at_s = time.monotonic() + self._timeout_s
        target, addresses = self._locate(url)
        sent = {"Host": target.authority, "User-Agent": _AGENT, "Connection": "close", **headers}
        pool = httpcore.ConnectionPool(
            ssl_context=self._tls, network_backend=_Pinned(addresses, ends_at_s), http2=False
        )
        try:
            with pool, pool.stream("POST", _url(target), headers=_pairs(sent), content=body) as got:
                again = _header(got, b"retry-after")
                return Reply(status=got.status, body=_beginning(got), retry_after=again)
        except (httpcore.TimeoutException, TimeoutError):
            return Reply(problem=f"no answer within {self._timeout_s:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return Reply(problem=f"the connection failed: {str(error) or type(error).__name__}")

    def _locate(self, url: str) -> tuple[Target, list[str]]:
        """Return a URL's parts and the addresses it may be sent to: all it has."""
        target = parse_target(url, self._schemes)
        addresses = self._addresses(target)
        refused = [a for a in addresses if not is_permitted(a, self._networks)]
        if refused or not addresses:
            raise InvalidRequest(
                f"Invalid webhook URL: {target.host!r} leads to {', '.join(refused) or 'nowhere'}, "
                "which is no public address. webhooks.allowed_networks can allow a network."
            )
        return target, addresses

    def _addresses(self, target: Target) -> list[str]:
        asked = self._resolvers.submit(self._resolve, target.host, target.port)
        try:
            return list(dict.fromkeys(asked.result(RESOLVE_TIMEOUT_S)))
        except (OSError, UnicodeError, TimeoutError):
            asked.cancel()
            raise InvalidRequest(
                f"Invalid webhook URL: {target.host!r} has no address that could be found now."
            ) from None


def resolve_name(host: str, port: int) -> list[str]:
    """Ask this host's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


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
