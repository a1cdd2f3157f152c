"""Which content types are taken by whom."""

import pytest

from gateway.protocols.media import check_json, check_v2, tabular_type
from tracking.errors import UnsupportedMedia


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'Application/JSON ; charset="utf-8"',
        "application/json;",
    ],
)
def test_json_in_utf_8_is_taken(content_type: str) -> None:
    check_json(content_type)
    assert tabular_type(content_type) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "text/csv",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/json; profile=x",
        "application/json; charset=utf-8; q=1",
        ";",
    ],
)
def test_anything_else_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia, match="is not served"):
        check_json(content_type)


@pytest.mark.parametrize("content_type", [None, ""])
def test_no_type_is_refused_only_where_one_is_needed(content_type: str | None) -> None:
    check_json(content_type)
    with pytest.raises(UnsupportedMedia, match="send application/json"):
        tabular_type(content_type)


@pytest.mark.parametrize("content_type", ["text/csv", "Text/CSV; charset=utf-8"])
def test_a_table_may_come_in_another_format(content_type: str) -> None:
    assert tabular_type(content_type) == "text/csv"


@pytest.mark.parametrize(
    "content_type", ["text/csv; charset=latin-1", "text/csv; header=present", "text/plain", "a/b"]
)
def test_other_formats_and_charsets_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia, match="is not served"):
        tabular_type(content_type)


def test_v2_takes_octets() -> None:
    check_v2(None)
    check_v2("Application/Octet-Stream")
    check_v2("application/json; charset=utf-8")
    with pytest.raises(UnsupportedMedia, match="application/octet-stream"):
        check_v2("text/csv")
