"""How a caller names a version."""

import pytest

from registry.references import (
    ByAlias,
    ByNumber,
    ByStage,
    Latest,
    Live,
    ModelUri,
    Ref,
    format_ref,
    parse_model_uri,
    parse_ref,
)
from registry.stages import Stage
from tracking.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("7", ByNumber(7)),
        ("LATEST", Latest()),
        ("production", ByStage(Stage.PRODUCTION)),
        ("None", ByStage(Stage.NONE)),
        ("@champion", ByAlias("champion")),
        ("@Latest", Latest()),
    ],
)
def test_a_reference_is_a_number_a_stage_latest_or_an_alias(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref


@pytest.mark.parametrize("text", ["", "champion", "-1", "v2", "@", "1.0", "\u0661"])
def test_anything_else_names_no_version(text: str) -> None:
    with pytest.raises(InvalidRequest, match="names no version"):
        parse_ref(text)


@pytest.mark.parametrize(
    ("uri", "read"),
    [
        ("models:/IrisRF/Production", ModelUri("IrisRF", ByStage(Stage.PRODUCTION))),
        ("models:/Iris RF/2", ModelUri("Iris RF", ByNumber(2))),
        ("models:/a@b@champion", ModelUri("a@b", ByAlias("champion"))),
        ("models:/a@b/latest", ModelUri("a@b", Latest())),
        ("models:/a@b@latest", ModelUri("a@b", Latest())),
    ],
)
def test_a_model_uri_is_taken_apart(uri: str, read: ModelUri) -> None:
    assert parse_model_uri(uri) == read


@pytest.mark.parametrize(
    "uri",
    ["models:/IrisRF", "models:/IrisRF/1/x", "runs:/a/b", "models:/", "models:/@x", "models:/a/"],
)
def test_an_incomplete_model_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_model_uri(uri)


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (ByNumber(2), "version 2"),
        (ByStage(Stage.STAGING), "Staging"),
        (ByAlias("a"), "@a"),
        (Latest(), "latest"),
        (Live(), "Production"),
    ],
)
def test_a_reference_is_written_for_people(ref: Ref, text: str) -> None:
    assert format_ref(ref) == text


def test_a_number_that_no_version_can_have_is_told_so() -> None:
    assert parse_ref("9" * 18) == ByNumber(10**18 - 1)
    with pytest.raises(InvalidRequest, match="at most 18 digits"):
        parse_ref("9" * 20)
