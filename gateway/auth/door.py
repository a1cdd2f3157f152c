"""The door: what every request passes before any application sees it.

Called by ``gateway.dispatch`` on the event loop. It denies by default: a path without a permission
takes a caller that is known. Refusing here costs no parsing of a body.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from gateway.auth.credentials import find_credential
from gateway.auth.hosts import HostPolicy, is_same_origin
from gateway.auth.policy import LOCAL, Permission, Principal, allows
from tracking.errors import (
    InvalidRequest,
    PermissionDenied,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)

HEALTH_PATHS = frozenset(
    {
        b"/health",
        b"/health/live",
        b"/health/ready",
        b"/ping",
        b"/v2/health/live",
        b"/v2/health/ready",
    }
)
_UPLOAD_PREFIX = b"/api/2.0/mlflow-artifacts/"
MAX_API_BYTES = 32 * 1024 * 1024
"""Cap on a body of the API. The profile of a dataset may have 16,777,215 characters, and those in
quotes take two bytes each."""
_API_PREFIX = b"/api/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_REMEMBERED_HOSTS = 64
_MAX_TOLD_BYTES = 100


class Callers(Protocol):
    """Whoever knows callers by their credential; ``TokenBook`` does."""

    def find_known(self, credential: str) -> Principal | None:
        """Return who holds a credential that was proved before. Never waits."""

    def verify(self, credential: str) -> Principal | None:
        """Prove a credential, or return ``None``. Slow: called in a thread."""


class Head(Struct):
    """The headers that the door looks at; ``length`` is -1 when the body's is not told."""

    host: bytes = b""
    origin: bytes = b""
    authorization: bytes = b""
    encoding: bytes = b""
    length: int = -1
    is_ambiguous: bool = False


class Pass:
    """Lets in requests that repeat a head which was admitted. Immutable; event loop only.

    The credential is looked up for each of them, as it is without a pass: whatever changes what it
    is worth takes effect as soon as at the door.

    Args:
        principal: Who held the credential.
        callers: Who has which.
        credential: What was sent.
    """

    __slots__ = ("_callers", "_credential", "principal")

    def __init__(self, principal: Principal, callers: Callers, credential: str) -> None:
        self.principal = principal
        self._callers = callers
        self._credential = credential

    def holds(self) -> bool:
        """Whether the next request would be admitted as well, as the same principal's."""
        return self._callers.find_known(self._credential) == self.principal


class Door:
    """Decides who may come in. One per worker, event loop only.

    Args:
        hosts: Names under which the server may be addressed.
        callers: Who has which credential; none when auth is off.
        max_body_bytes: Cap on a body.
        max_api_bytes: Cap on a body of the API, if that is more.
        max_upload_bytes: Cap on an uploaded artifact.
    """

    def __init__(
        self,
        hosts: HostPolicy,
        callers: Callers | None,
        *,
        max_body_bytes: int,
        max_upload_bytes: int,
        max_api_bytes: int = MAX_API_BYTES,
    ) -> None:
        self._hosts = hosts
        self._callers = callers
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes
        self._max_api_bytes = max(max_body_bytes, max_api_bytes)
        self._least_limit_bytes = min(max_body_bytes, max_upload_bytes)
        self._remembered_hosts: set[bytes] = set()

    async def admit(
        self, scope: Mapping[str, Any], head: Head, permission: Permission | None
    ) -> Principal | None:
        """Return who calls, if they may.

        Args:
            scope: ASGI's, with the raw path rewritten already.
            head: Its headers.
            permission: What the route asks for; none for a path that is no route.

        Raises:
            PermissionDenied: A Host, Origin or permission that does not fit.
            Unauthenticated: No credential, or not a valid one.
            TooLarge: The body will be over the limit.
            UnsupportedMedia: The body is compressed.
            InvalidRequest: Two Host headers.
        """
        if self._callers is None:
            return self.admit_local(scope, head, permission)
        self._check_host(scope, head)
        principal = await self._identify(head)
        self._check(scope, head, principal, permission)
        return principal

    @property
    def is_local(self) -> bool:
        """Whether nobody has to prove who they are: auth is off."""
        return self._callers is None

    def admit_local(
        self, scope: Mapping[str, Any], head: Head, permission: Permission | None
    ) -> Principal:
        """Do the same as ``admit`` where auth is off, without waiting for anything."""
        self._check_host(scope, head)
        self._check(scope, head, LOCAL, permission)
        return LOCAL

    def _check(
        self,
        scope: Mapping[str, Any],
        head: Head,
        principal: Principal | None,
        permission: Permission | None,
    ) -> None:
        _check_permission(principal, permission)
        # Most bodies are below all limits.
        if head.length > self._least_limit_bytes and head.length > self.body_limit(scope):
            raise TooLarge(_too_large(self.body_limit(scope)))
        if head.encoding and head.encoding != b"identity":
            message = "Compressed request bodies are not taken; send the body as it is."
            raise UnsupportedMedia(message)

    def find_pass(
        self, scope: Mapping[str, Any], head: Head, permission: Permission
    ) -> Pass | None:
        """Return what lets in all requests with this head, where auth is on.

        None where a caller has to prove who they are first: that takes waiting.

        Raises:
            StagedoorError: As ``admit`` does, but for nobody.
        """
        self._check_host(scope, head)
        credential = find_credential(head.authorization) if head.authorization else None
        if credential is None or self._callers is None:
            return None
        principal = self._callers.find_known(credential)
        if principal is None:
            return None
        self._check(scope, head, principal, permission)
        return Pass(principal, self._callers, credential)

    def body_limit(self, scope: Mapping[str, Any]) -> int:
        """Return how many bytes a request's body may have."""
        raw_path = scope["raw_path"]
        if not raw_path.startswith(_API_PREFIX):
            return self._max_body_bytes
        is_upload = raw_path.startswith(_UPLOAD_PREFIX)
        return self._max_upload_bytes if is_upload else self._max_api_bytes

    async def _identify(self, head: Head) -> Principal | None:
        credential = find_credential(head.authorization) if head.authorization else None
        if credential is None or self._callers is None:
            return None
        known = self._callers.find_known(credential)
        return known or await asyncio.to_thread(self._callers.verify, credential)

    def _check_host(self, scope: Mapping[str, Any], head: Head) -> None:
        if head.is_ambiguous:
            message = "The request has two Host headers; send one."
            raise InvalidRequest(message)
        if head.origin and scope["method"] not in _SAFE_METHODS:
            _check_origin(head)
        if head.host in self._remembered_hosts or scope["raw_path"] in HEALTH_PATHS:
            return
        if head.host and not self._hosts.allows(head.host):
            message = (
                f"This server does not answer as {_told(head.host)}; --allowed-hosts "
                "(server.allowed_hosts) adds names."
            )
            raise PermissionDenied(message)
        if len(self._remembered_hosts) < _MAX_REMEMBERED_HOSTS:
            self._remembered_hosts.add(head.host)


def read_head(headers: list[tuple[bytes, bytes]]) -> Head:
    """Pick from a request's headers those that the door looks at."""
    last = dict(headers)
    find = last.get
    return Head(
        host=find(b"host", b""),
        origin=find(b"origin", b""),
        authorization=find(b"authorization", b""),
        encoding=find(b"content-encoding", b"").lower(),
        length=int(find(b"content-length", -1)),
        is_ambiguous=len(last) < len(headers) and _has_two_hosts(headers),
    )


def _has_two_hosts(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = [value for name, value in headers if name == b"host"]
    return any(hosts[:-1])


def check_body_size(size_bytes: int, limit_bytes: int) -> None:
    """Check how much of a body has arrived.

    Raises:
        TooLarge: More than the limit.
    """
    if size_bytes > limit_bytes:
        raise TooLarge(_too_large(limit_bytes))


def _check_origin(head: Head) -> None:
    if not is_same_origin(head.origin, head.host):
        message = f"A page of {_told(head.origin)} may not change anything on this server."
        raise PermissionDenied(message)


def _check_permission(principal: Principal | None, permission: Permission | None) -> None:
    if permission is not None and allows(principal, permission):
        return
    if principal is None:
        message = "This server takes a token: as Bearer, or as the password of any user name."
        raise Unauthenticated(message)
    if permission is not None:
        message = f"This call takes the permission {permission.value!r}, which the token lacks."
        raise PermissionDenied(message)


def _too_large(limit_bytes: int) -> str:
    return f"The body is larger than the {limit_bytes} bytes that are taken here."


def _told(value: bytes) -> str:
    return repr(value[:_MAX_TOLD_BYTES].decode("latin-1"))


PermissionOf = Callable[[str, str], Permission | None]
"""What a control route asks for, by method and path; none if there is no such route."""
