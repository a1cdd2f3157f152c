"""Object stores by URL, and what they say when they refuse; the rest is in the contract."""

import hashlib

import httpx
import pytest

from tests.contracts.tracking_server import TrackingServer
from tests.object_store import SECRET
from tracking.artifacts import open_artifacts
from tracking.errors import InvalidRequest, Unavailable

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize("url", ["bogus://a/b", "mlflow-artifacts://a", "http://a/b"])
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/prefix"):
        open_artifacts(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/prefix",
        "s3a://bucket/prefix",
        "gs://bucket/prefix",
        "abfss://container@account.dfs.core.windows.net/prefix",
        "https://account.blob.core.windows.net/container/prefix",
        "https://bucket.s3.eu-central-1.amazonaws.com/prefix",
    ],
)
def test_every_provider_is_opened_by_its_urls_without_being_asked(url: str) -> None:
    open_artifacts(url)


def test_a_container_without_an_account_says_where_to_name_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidRequest, match="Set AZURE_STORAGE_ACCOUNT_NAME"):
        open_artifacts("az://container/prefix")

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    open_artifacts("az://container/prefix")


def test_wrong_credentials_are_told_by_the_names_of_their_variables(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    artifacts = open_artifacts(bucket_url)

    for attempt in (
        lambda: artifacts.put("a", b"1"),
        lambda: artifacts.get_bytes("a"),
        lambda: artifacts.list("a"),
        lambda: list(artifacts.walk()),
    ):
        with pytest.raises(Unavailable, match="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            attempt()

    assert bucket_url in caplog.text
    assert "not the secret" not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("url", "variables", "variable"),
    [
        ("gs://bucket/prefix", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}, "GOOGLE_SERVICE_ACCOUNT"),
        ("s3://bucket/prefix", {"AWS_METADATA_ENDPOINT": NOBODY}, "AWS_ACCESS_KEY_ID"),
        (
            "az://container/prefix",
            {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_MSI_ENDPOINT": NOBODY},
            "AZURE_STORAGE_ACCOUNT_KEY",
        ),
    ],
)
def test_missing_credentials_are_told_by_the_names_of_their_variables(
    url: str, variables: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises((Unavailable, InvalidRequest), match=variable):
        open_artifacts(url).put("a", b"1")


def test_a_caller_of_a_server_hears_the_same(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch, tracking_server: TrackingServer
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    tracking_server.artifacts = open_artifacts(bucket_url)

    answer = httpx.put(f"{tracking_server.address}{PROXY}/1/a", content=b"1")

    assert (answer.status_code, answer.json()["error_code"]) == (503, Unavailable.code)
    assert "Set AWS_ACCESS_KEY_ID" in answer.json()["message"]


def test_a_store_that_does_not_answer_is_unavailable(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)

    with pytest.raises(Unavailable, match="does not answer now"):
        open_artifacts(bucket_url).size("a")


def test_parts_are_read() -> None:
    """From memory: rclone answers a part with 200, which no client of obstore's takes."""
    artifacts = open_artifacts("memory:///")
    artifacts.put("a", bytes(range(256)))

    part = b"".join(artifacts.get_part("a", offset=10, length=5))

    assert part == bytes(range(10, 15))


@pytest.mark.parametrize("piece_bytes", [100_000, 5 << 20, 7_000_000])
def test_an_object_of_several_parts_arrives_whole(bucket_url: str, piece_bytes: int) -> None:
    content = bytes(range(251)) * 60_000
    artifacts = open_artifacts(bucket_url)
    pieces = (content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes))

    digest = artifacts.put("large", pieces)

    assert artifacts.get_bytes("large") == content
    assert digest == hashlib.sha256(content).hexdigest()
