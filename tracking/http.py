"""Calls to a tracking server, ours or MLflow's: one place for retries, credentials and errors.

The HTTP stores of every room call it, from any thread. Nothing is connected before the first call.
"""

import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from tracking.errors import (
    DeadlineExceeded,
    EndpointMissing,
    InvalidRequest,
    MethodRefused,
    PermissionDenied,
    ResourceConflict,
    StagedoorError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    error_classes,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MLFLOW_PREFIX = "/api/2.0/mlflow/"

_RETRY_FOR_S = 60.0
_LONGEST_PAUSE_S = 5.0
_RETRIED = {429, 502, 503, 504}
_SUCCESS = range(200, 300)
_CHUNK_BYTES = 1 << 20
_CLASS_BY_STATUS: dict[int, type[StagedoorError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    404: EndpointMissing,
    405: MethodRefused,
    409: ResourceConflict,
    413: TooLarge,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: DeadlineExceeded,
}

Query = Mapping[str, str | int | list[str] | None]
Content = bytes | Iterable[bytes] | Path


class Credential(Struct, frozen=True):
    """What a client shows at the door: a token, or a name and password. Immutable."""

    token: str | None = None
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Credential(…)"


class HttpApi:
    """One server. Safe from any thread, and across a fork.

    Args:
        uri: ``http(s)://host[:port][/prefix]``.
        credential: Shown with every call.
        retry_for_s: How long to try again while the server cannot be reached or is too busy.

    Raises:
        InvalidRequest: The URI is none of HTTP.
    """

    def __init__(
        self, uri: str, credential: Credential | None = None, *, retry_for_s: float = _RETRY_FOR_S
    ) -> None:
        parts = urlsplit(uri)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest("A server's URI must look like http://host:5000.")
        self._address = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        self.shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._credential = credential or Credential()
        self._retry_for_s = retry_for_s
        self._client: tuple[int, httpx.Client] | None = None

    def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: Query | None = None,
        body: Struct | None = None,
    ) -> T:
        """Call MLflow's REST API and return its answer.

        Args:
            method: ``GET``, ``POST``, ``PATCH`` or ``DELETE``.
            path: Beneath ``/api/2.0/mlflow/``, or absolute with a leading slash.
            answer: What to decode the answer into.
            query: ``None`` values are left out.
            body: Sent as JSON; fields that are ``None`` or empty lists are left out.

        Raises:
            StagedoorError: Whatever class the server's code stands for.
            Unavailable: The server cannot be reached, or stays too busy.
        """
        content = None if body is None else _encode(body)
        return self.decode(self.request(method, path, query=query, content=content), answer)

    def decode(self, content: bytes, answer: type[T]) -> T:
        """Return the struct that an answer holds.

        Raises:
            StagedoorError: It holds something else.
        """
        try:
            return msgspec.json.decode(content or b"{}", type=answer)
        except msgspec.MsgspecError as error:
            raise StagedoorError(
                f"The server at {self.shown} answered with something unexpected ({error})."
                " Is it a tracking server?"
            ) from error

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: Content | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send a request, again while the server is away, and return the answer's bytes.

        Raises:
            StagedoorError: Whatever class the server's code stands for.
            Unavailable: The server cannot be reached, or stays too busy.
        """
        headers = {} if content is None else {"content-type": content_type}
        deadline = time.monotonic() + self._retry_for_s
        pauses = _pauses()
        while True:
            with _sendable(content) as sent:
                answer = self._try(method, path, query=query, content=sent, headers=headers)
            is_repeatable = content is None or isinstance(content, bytes | Path)
            if is_repeatable and _is_worth_another(answer, path) and time.monotonic() < deadline:
                time.sleep(next(pauses))
                continue
            return self._outcome(answer)

    def stream(
        self, method: str, path: str, *, query: Query | None = None
    ) -> "AbstractContextManager[Iterator[bytes]]":
        """Send a request and read the answer's bytes as they come, for the block.

        Raises:
            StagedoorError: Whatever class the server's code stands for.
            Unavailable: The server cannot be reached, or broke off.
        """
        return self._streamed(method, path, query)

    def close(self) -> None:
        """Let go of the connections; a later call opens anew."""
        client, self._client = self._client, None
        if client is not None:
            client[1].close()

    def _try(self, method: str, path: str, **options: Any) -> "httpx.Response | httpx.HTTPError":
        import httpx  # noqa: PLC0415 - only who calls a server pays for the import

        query = _without_unset(options.pop("query"))
        try:
            return self._connected().request(method, _full(path), params=query, **options)
        except httpx.HTTPError as error:
            return error

    @contextmanager
    def _streamed(self, method: str, path: str, query: Query | None) -> Iterator[Iterator[bytes]]:
        import httpx  # noqa: PLC0415

        options = {"params": _without_unset(query)}
        try:
            with self._connected().stream(method, _full(path), **options) as answer:  # type: ignore[arg-type]  # its params are wider than a dict of them
                if answer.status_code not in _SUCCESS:
                    answer.read()
                    self._outcome(answer)
                yield answer.iter_bytes(_CHUNK_BYTES)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _outcome(self, answer: "httpx.Response | httpx.HTTPError") -> bytes:
        if isinstance(answer, Exception):
            raise self._unreachable(answer) from answer
        if answer.status_code in _SUCCESS:
            return answer.content
        raise _error_of(answer.status_code, answer.content, self.shown)

    def _unreachable(self, error: "httpx.HTTPError") -> Unavailable:
        return Unavailable(
            f"The server at {self.shown} does not answer ({type(error).__name__})."
            " Check the tracking URI, and that the server runs."
        )

    def _connected(self) -> "httpx.Client":
        """Return this process's client; a forked child must not share its parent's sockets."""
        import httpx  # noqa: PLC0415

        client = self._client
        if client is None or client[0] != os.getpid():
            headers = {"user-agent": "stagedoor"}
            shown = self._credential
            if shown.token:
                headers["authorization"] = f"Bearer {shown.token}"
            basic = (shown.username, shown.password or "") if shown.username else None
            timeout = httpx.Timeout(120, connect=10)
            client = (
                os.getpid(),
                httpx.Client(
                    base_url=self._address,
                    headers=headers,
                    timeout=timeout,
                    auth=None if shown.token else basic,
                ),
            )
            self._client = client
        return client[1]


def _encode(body: Struct) -> bytes:
    """Write a request; with its defaults, which another server may not share."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return msgspec.json.encode({n: value for n, value in fields.items() if value not in (None, [])})


def _full(path: str) -> str:
    return path if path.startswith("/") else MLFLOW_PREFIX + path


def _without_unset(query: Query | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


@contextmanager
def _sendable(content: Content | None) -> Iterator[bytes | Iterable[bytes] | None]:
    """Open a file afresh for each try; anything else goes as it is."""
    if not isinstance(content, Path):
        yield content
        return
    with content.open("rb") as file:
        yield iter(lambda: file.read(_CHUNK_BYTES), b"")


def _pauses() -> Iterator[float]:
    pause_s = 0.1
    while True:
        yield random.uniform(pause_s / 2, pause_s)  # noqa: S311 - jitter
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_worth_another(answer: "httpx.Response | httpx.HTTPError", path: str) -> bool:
    """Tell whether to send again: not a create that the server may have done already."""
    import httpx  # noqa: PLC0415

    if isinstance(answer, httpx.Response):
        if answer.status_code not in _RETRIED:
            return False
        return answer.status_code in {429, 503} or not path.endswith("create")
    if isinstance(answer, httpx.ConnectError | httpx.ConnectTimeout):
        return True
    return isinstance(answer, httpx.TransportError) and not path.endswith("create")


def _error_of(status: int, content: bytes, shown: str) -> StagedoorError:
    """Return the error that the server means, by its code, else by its status."""
    try:
        told = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = {}
    code, message = str(told.get("error_code", "")), str(told.get("message", ""))
    error = error_classes().get(code) or _CLASS_BY_STATUS.get(status)
    if error is None:
        error = InvalidRequest if status < 500 else StagedoorError  # noqa: PLR2004
    return error(message or f"The server at {shown} answered with status {status}.")
