"""Which content types are JSON in UTF-8."""

import pytest

from gateway.protocols.media import check_json
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
    check_json(content_type, is_required=True)


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
        check_json(content_type, is_required=False)


@pytest.mark.parametrize("content_type", [None, ""])
def test_no_type_is_refused_only_where_one_is_needed(content_type: str | None) -> None:
    check_json(content_type, is_required=False)
    with pytest.raises(UnsupportedMedia, match="send application/json"):
        check_json(content_type, is_required=True)
