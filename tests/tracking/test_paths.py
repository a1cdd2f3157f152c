"""Whether a path may name an artifact."""

from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.errors import InvalidRequest, NotImplementedHere
from tracking.paths import check_folder, check_path, join_path, parse_path, proxied_path

ALLOWED = [
    ("a", "a"),
    ("1/0123abcd/artifacts/model/MLmodel", "1/0123abcd/artifacts/model/MLmodel"),
    ("a%20b", "a b"),
    ("%C3%A9/%E5%B1%A4", "é/層"),
    ("a%2Fb", "a/b"),
    ("...", "..."),
    ("..a/b..", "..a/b.."),
    (".hidden", ".hidden"),
    ("100%25", "100%"),
    ("ab:c", "ab:c"),
    ("run/a:b", "run/a:b"),
    ("a%2520b", "a%20b"),
    ("a%252520b%25", "a%2520b%"),
    ("%2541%25e5%25b1%25a4", "%41%e5%b1%a4"),
    ("x" * 255, "x" * 255),
    ("a+b", "a+b"),
]

REFUSED = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "./a",
    "a/./b",
    "a/..",
    "../a",
    "a/../../b",
    "%2e%2e/a",
    "%2E%2E%2Fa",
    "..%2fa",
    "%2fetc/passwd",
    "%252e%252e/a",
    "a/%252e%252e%252fb",
    "%25%32%65",
    "a%00b",
    "a\0b",
    "a%0Ab",
    "a\x7fb",
    "a\u2028b",
    "a\ud800b",
    "..\\a",
    "a%5Cb",
    "C:/a",
    "c:a",
    "C%3A/a",
    "run/C:/a",
    "a/c%3A",
    "a%2500b",
    "a%250ab",
    "a%255cb",
    "a%252Fb",
    "a%25c0%25ae",
    "a%25c2%2585b",
    "a%25252fb",
    "%25252e%25252e",
    "%25%2532e",
    "%25%2525%2532e",
    "%ff%fe",
    "x" * 256,
    "é" * 128,
    "/".join(["x" * 200] * 6),
]


@pytest.mark.parametrize(("raw", "path"), ALLOWED)
def test_a_plain_relative_path_is_allowed(raw: str, path: str) -> None:
    assert parse_path(raw) == path


@pytest.mark.parametrize("raw", REFUSED)
def test_anything_else_is_refused(raw: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid path"):
        parse_path(raw)


SEGMENT = st.text(min_size=1, max_size=12)


@given(st.text(max_size=60))
def test_what_is_allowed_stays_beneath_the_root(raw: str) -> None:
    try:
        path = parse_path(raw)
    except InvalidRequest:
        return

    root = Path("/srv/root")
    assert (root / path).parts[: len(root.parts)] == root.parts
    assert ".." not in PurePosixPath(path).parts
    assert str(PurePosixPath(path)) == path
    assert check_path(path) == path


@given(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join))
def test_encoding_a_path_that_is_allowed_changes_nothing(path: str) -> None:
    try:
        check_path(path)
    except InvalidRequest:
        return

    assert parse_path(quote(path)) == path


@given(st.lists(st.sampled_from(["..", ".", "", "a", "%2e%2e", "%252e", "\\", "b c"])))
def test_no_mix_of_dots_and_slashes_leaves_the_root(segments: list[str]) -> None:
    raw = "/".join(segments)
    try:
        path = parse_path(raw)
    except InvalidRequest:
        return

    assert set(path.split("/")) <= {"a", "b c"}


@given(st.lists(st.sampled_from(["%", "25", "2e", "2F", "5c", "0", "a", "/", ".", "3", "32"])))
def test_decoding_more_often_makes_no_other_kind_of_path(parts: list[str]) -> None:
    try:
        path = check_path("".join(parts))
    except InvalidRequest:
        return

    while (decoded := unquote(path)) != path:
        assert decoded.count("/") == path.count("/")
        assert not {"", ".", ".."} & set(decoded.split("/"))
        assert "\\" not in decoded
        path = decoded


@pytest.mark.parametrize(
    ("asked", "folder"),
    [("", ""), (".", ""), ("./", ""), ("d/", "d"), ("./d", "d"), ("d//x/./y", "d/x/y")],
)
def test_a_folder_may_be_asked_for_in_a_roundabout_way(asked: str, folder: str) -> None:
    assert check_folder(asked) == folder


@pytest.mark.parametrize(
    "asked", ["/", "/d", "//d", "..", "d/..", "./../d", "d\\x", "%2e%2e", "C:/d"]
)
def test_no_folder_outside_the_root_is_listed(asked: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid path"):
        check_folder(asked)


def test_a_path_is_joined_to_a_folder_and_checked() -> None:
    assert join_path("run", "a/b") == "run/a/b"
    assert join_path("run", "") == join_path("run", None) == "run"
    assert join_path("", "a") == "a"
    with pytest.raises(InvalidRequest):
        join_path("run", "../a")


def test_a_proxied_uri_is_a_path_and_others_are_not_served() -> None:
    assert proxied_path("mlflow-artifacts:/1/run/artifacts") == "1/run/artifacts"
    for uri in ("s3://bucket/a", "mlflow-artifacts://host/a", "/etc", "file:///etc"):
        with pytest.raises(NotImplementedHere):
            proxied_path(uri)
    with pytest.raises(InvalidRequest):
        proxied_path("mlflow-artifacts:/../a")
