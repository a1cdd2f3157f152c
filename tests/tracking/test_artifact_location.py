"""Where the artifacts of an experiment may be kept."""

from pathlib import PurePosixPath

import pytest

from tracking.artifact_location import (
    absolute_root,
    check_location,
    default_location,
    run_location,
)
from tracking.errors import InvalidRequest


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("mlflow-artifacts:/7", "mlflow-artifacts:/7"),
        ("mlflow-artifacts:/a/b/", "mlflow-artifacts:/a/b"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("gs://bucket", "gs://bucket"),
    ],
)
def test_a_typed_reference_is_kept(location: str, kept: str) -> None:
    assert check_location(location) == kept


@pytest.mark.parametrize(
    "location",
    [
        "file:///a",
        "/a",
        "a/b",
        "s3:///a",
        "s3://b/../c",
        "s3://b/%2e%2e/c",
        "s3://b/%252e%252e/c",
        "s3://b/c#d",
        "s3://b/c?d",
        "mlflow-artifacts:/",
        "mlflow-artifacts:/../a",
        "mlflow-artifacts://host/a",
        "http://169.254.169.254/a",
        "a\0b",
    ],
)
def test_anything_else_is_refused(location: str) -> None:
    with pytest.raises(InvalidRequest):
        check_location(location)


@pytest.mark.parametrize(
    ("root", "kept"),
    [
        ("mlflow-artifacts:/", "mlflow-artifacts:/"),
        ("mlflow-artifacts:///", "mlflow-artifacts:/"),
        ("mlflow-artifacts:/a b/c/", "mlflow-artifacts:/a b/c"),
        ("mlflow-artifacts://host/a", "mlflow-artifacts://host/a"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("file:///srv/a", "file:///srv/a"),
        ("./mlruns", "/here/mlruns"),
        ("mlruns/../other/", "/here/other"),
        ("/srv/a", "/srv/a"),
    ],
)
def test_a_root_is_made_whole(root: str, kept: str) -> None:
    assert absolute_root(root, PurePosixPath("/here")) == kept


@pytest.mark.parametrize(
    "root",
    [
        "mlflow-artifacts:/a/../b",
        "mlflow-artifacts:/a/%2e%2e/b",
        "mlflow-artifacts:/a//b",
        "mlflow-artifacts:/C:/b",
        "s3://bucket/../b",
        "s3://bucket/a?b",
        "s3://bucket/a#b",
        "a\0b",
    ],
)
def test_a_root_beneath_which_nothing_may_lie_is_refused(root: str) -> None:
    with pytest.raises(InvalidRequest):
        absolute_root(root, PurePosixPath("/here"))


@pytest.mark.parametrize("root", ["mlflow-artifacts:/", "s3://bucket/root", "s3://bucket/root/"])
def test_an_experiment_and_a_run_lie_beneath_the_root(root: str) -> None:
    location = run_location(default_location(root, 7), "abc")

    assert location == f"{root.rstrip('/')}/7/abc/artifacts"
