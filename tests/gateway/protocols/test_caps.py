"""What no body may hold, and that saying so stays quick."""

import time
from contextlib import suppress

import pytest

from gateway.protocols.caps import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    check_body,
    check_depth,
    check_params,
)
from tracking.errors import MalformedBody, TooLarge


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b'["[[[["]' * 30,
        b'["' + b"[" * 100 + b'"]',
        b'["\\"' + b"[" * 100 + b'"]',
        b"[" + b"[1]," * 1000 + b"[1]]",
    ],
    ids=["arrays", "objects", "strings", "one string", "escaped quote", "wide"],
)
def test_what_is_no_deeper_than_the_cap_is_taken(body: bytes) -> None:
    check_depth(body)


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        b'[{"a":' * 33 + b"1" + b"}]" * 33,
        b"[" * 65 + b'"]]]]]"' + b"]" * 65,
        b'["]]]]\\\\",' + nested(MAX_DEPTH) + b"]",
        b'["\\\\\\"' + b"]" * 100 + b'",' + nested(MAX_DEPTH) + b"]",
    ],
    ids=["arrays", "mixed", "brackets in a string", "after a backslash", "after an escaped quote"],
)
def test_what_is_deeper_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="deeper than 64 levels"):
        check_depth(body)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "empty"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\\\\\\u0000"}', "NUL"),
    ],
)
def test_bytes_that_are_no_text_are_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(MalformedBody, match=sentence):
        check_body(body)


@pytest.mark.parametrize("body", [b'{"a": "\\\\u0000"}', '{"花": 1}'.encode()])
def test_text_that_only_looks_like_it_is_taken(body: bytes) -> None:
    check_body(body)


@pytest.mark.parametrize("piece", [b"1,", b"[],", b"[", b"{"])
def test_too_many_values_are_refused_before_they_are_parsed(piece: bytes) -> None:
    with pytest.raises(TooLarge, match="more than 2000000 values"):
        check_body(piece * (MAX_ELEMENTS + 1))


def test_a_long_body_of_few_values_is_taken() -> None:
    check_body(b'["' + b"a" * (2 * MAX_ELEMENTS) + b'"]')


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 70 + b'"\\' * 400_000,
        b"[" * 70 + b'"' + b'\\"' * 400_000,
        b"[" * 900_000 + b"]" * 900_000,
        b"\\" * 800_000 + b"\\u0000",
    ],
    ids=["open strings", "escaped quotes", "brackets", "backslashes"],
)
def test_a_hostile_body_takes_no_longer_than_an_honest_one(body: bytes) -> None:
    started = time.perf_counter()

    with suppress(MalformedBody):
        check_body(body)
    with suppress(MalformedBody):
        check_depth(body)

    assert time.perf_counter() - started < 2  # quadratic would take minutes


def test_a_parameter_of_more_than_64_bits_is_refused() -> None:
    check_params({"a": 2**63, "b": [None, "x", {"c": 1.5}]})
    with pytest.raises(MalformedBody, match="64 bits"):
        check_params({"a": [{"b": 2**64}]})
