import pytest

from registry.garbage_rules import folder_of, parse_age
from tracking.errors import InvalidRequest

RUN = "a" * 32


@pytest.mark.parametrize(
    ("text", "age_ms"),
    [
        ("30d", 2_592_000_000),
        ("1d12h", 129_600_000),
        ("90m", 5_400_000),
        ("0s", 0),
        ("1d2h3m4s", 93_784_000),
    ],
)
def test_an_age_is_read(text: str, age_ms: int) -> None:
    assert parse_age(text) == age_ms


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1 d", "1h1d", "1.5d", "1w", "9999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no age"):
        parse_age(text)


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        (f"mlflow-artifacts:/1/{RUN}/artifacts", f"1/{RUN}"),
        (f"mlflow-artifacts:/deep/er/{RUN}/artifacts", f"deep/er/{RUN}"),
        ("mlflow-artifacts:/1/other/artifacts", None),
        (f"mlflow-artifacts:/1/{RUN}", None),
        ("mlflow-artifacts:/artifacts", None),
        ("mlflow-artifacts:/", None),
        (f"s3://bucket/1/{RUN}/artifacts", None),
        (f"mlflow-artifacts:/../{RUN}/artifacts", None),
        (f"mlflow-artifacts://host/1/{RUN}/artifacts", None),
    ],
)
def test_only_a_folder_that_names_its_owner_is_removed(location: str, folder: str | None) -> None:
    assert folder_of(location, RUN) == folder
