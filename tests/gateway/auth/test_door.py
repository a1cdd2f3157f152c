import asyncio
from typing import Any

import pytest

from gateway.auth.door import MAX_API_BYTES, Door, Head, check_body_size, read_head
from gateway.auth.hosts import host_policy
from gateway.auth.policy import LOCAL, Permission, Principal
from tracking.errors import (
    InvalidRequest,
    PermissionDenied,
    StagedoorError,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)

READER = Principal("reader", frozenset({Permission.READ}))


class OneReader:
    """Knows one credential, and how often it was asked to prove one."""

    def __init__(self) -> None:
        self.proofs = 0
        self.is_known = False

    def find_known(self, credential: str) -> Principal | None:
        return READER if self.is_known and credential == "good" else None

    def verify(self, credential: str) -> Principal | None:
        self.proofs += 1
        self.is_known = self.is_known or credential == "good"
        return READER if credential == "good" else None


def door(callers: OneReader | None = None) -> Door:
    hosts = host_policy("127.0.0.1", ())
    return Door(hosts, callers, max_body_bytes=100, max_upload_bytes=1000)


def admit(
    head: Head,
    permission: Permission | None = Permission.READ,
    *,
    path: bytes = b"/admin/x",
    method: str = "GET",
    at: Door | None = None,
) -> Principal | None:
    scope: dict[str, Any] = {"raw_path": path, "method": method}
    return asyncio.run((at or door()).admit(scope, head, permission))


def test_without_auth_everybody_is_local() -> None:
    assert admit(Head(host=b"localhost:5000"), Permission.ADMIN) == LOCAL


def test_a_proved_credential_is_not_proved_again() -> None:
    callers = OneReader()
    at = door(callers)

    principals = [admit(Head(authorization=b"Bearer good"), at=at) for _ in range(3)]

    assert principals == [READER] * 3
    assert callers.proofs == 1


@pytest.mark.parametrize("header", [b"", b"Bearer bad", b"Digest good", b"Basic !!"])
@pytest.mark.parametrize("permission", [Permission.READ, Permission.PREDICT, None])
def test_without_a_valid_credential_only_what_is_open_is_open(
    header: bytes, permission: Permission | None
) -> None:
    at = door(OneReader())

    with pytest.raises(Unauthenticated):
        admit(Head(authorization=header), permission, at=at)

    assert admit(Head(authorization=header), Permission.OPEN, at=at) is None


def test_a_credential_that_lacks_the_permission_is_refused_by_its_name() -> None:
    with pytest.raises(PermissionDenied, match="promote"):
        admit(Head(authorization=b"Bearer good"), Permission.PROMOTE, at=door(OneReader()))


@pytest.mark.parametrize(
    ("head", "method", "error"),
    [
        (Head(host=b"evil.example"), "GET", PermissionDenied),
        (Head(host=b"a", is_ambiguous=True), "GET", InvalidRequest),
        (Head(host=b"localhost", origin=b"http://evil.example"), "POST", PermissionDenied),
        (Head(host=b"localhost", origin=b"http://evil.example"), "DELETE", PermissionDenied),
        (Head(host=b"localhost", origin=b"null"), "PUT", PermissionDenied),
        (Head(origin=b"http://evil.example"), "PATCH", PermissionDenied),
        (Head(length=101), "POST", TooLarge),
        (Head(encoding=b"gzip"), "POST", UnsupportedMedia),
    ],
)
def test_what_does_not_fit_is_refused(head: Head, method: str, error: type[StagedoorError]) -> None:
    with pytest.raises(error):
        admit(head, method=method)


@pytest.mark.parametrize(
    ("head", "method"),
    [
        (Head(), "POST"),
        (Head(host=b"localhost"), "DELETE"),
        (Head(host=b"localhost:1", origin=b"http://localhost:1"), "POST"),
        (Head(host=b"localhost", origin=b"http://evil.example"), "GET"),
        (Head(length=100, encoding=b"identity"), "POST"),
    ],
)
def test_what_fits_comes_in(head: Head, method: str) -> None:
    assert admit(head, method=method) == LOCAL


@pytest.mark.parametrize("path", [b"/health", b"/ping", b"/v2/health/ready"])
def test_a_probe_may_use_any_name(path: bytes) -> None:
    assert admit(Head(host=b"pod-7.internal"), Permission.OPEN, path=path) == LOCAL


def test_an_uploaded_artifact_may_be_larger_than_a_body() -> None:
    path = b"/api/2.0/mlflow-artifacts/artifacts/a"

    assert admit(Head(length=1000), path=path, method="PUT") == LOCAL
    with pytest.raises(TooLarge):
        admit(Head(length=1001), path=path, method="PUT")


def test_a_body_of_the_api_may_be_larger_than_one_of_a_model() -> None:
    path = b"/api/2.0/mlflow/runs/log-inputs"

    assert admit(Head(length=MAX_API_BYTES), path=path, method="POST") == LOCAL
    with pytest.raises(TooLarge):
        admit(Head(length=MAX_API_BYTES + 1), path=path, method="POST")


def test_the_head_is_read_from_the_headers() -> None:
    head = read_head(
        [
            (b"host", b"h"),
            (b"origin", b"o"),
            (b"authorization", b"a"),
            (b"content-length", b"7"),
            (b"content-encoding", b"GZIP"),
            (b"accept", b"*/*"),
        ]
    )

    assert head == Head(host=b"h", origin=b"o", authorization=b"a", length=7, encoding=b"gzip")
    assert read_head([(b"host", b"a"), (b"host", b"b")]).is_ambiguous


def test_a_body_may_have_as_many_bytes_as_the_limit() -> None:
    check_body_size(100, 100)
    with pytest.raises(TooLarge):
        check_body_size(101, 100)
