import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.credentials import (
    Token,
    find_credential,
    find_token,
    format_token,
    keyed_digest,
    slow_hash,
)


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Bearer sdt_1_x", "sdt_1_x"),
        (b"bearer   sdt_1_x ", "sdt_1_x"),
        (basic("anybody:sdt_1_x"), "sdt_1_x"),
        (basic(":sdt_1_x"), "sdt_1_x"),
        (basic("a:b:c"), "b:c"),
        (basic("nobody:"), None),
        (basic("nobody"), None),
        (b"Basic !!!", None),
        (b"Bearer", None),
        (b"Digest abc", None),
        (b"", None),
        (b"Bearer " + b"x" * 2000, None),
    ],
)
def test_a_credential_is_a_bearer_token_or_a_basic_password(
    header: bytes, expected: str | None
) -> None:
    assert find_credential(header) == expected


@given(st.binary(max_size=100), st.sampled_from([b"", b"Basic ", b"Bearer "]))
def test_no_header_makes_reading_it_fail(rest: bytes, scheme: bytes) -> None:
    credential = find_credential(scheme + rest)

    assert credential is None or keyed_digest(credential, b"key")


def test_a_token_reads_back_as_it_was_written() -> None:
    token = Token("a1b2", "se_cr-et")

    assert find_token(format_token(token)) == token


@pytest.mark.parametrize("text", ["", "sdt", "sdt_1", "sdt_1_", "sdt__x", "abc_1_x", "password"])
def test_other_texts_are_no_tokens(text: str) -> None:
    assert find_token(text) is None


def test_one_secret_hashes_differently_under_another_salt() -> None:
    assert slow_hash("secret", b"a" * 16) != slow_hash("secret", b"b" * 16)
    assert slow_hash("secret", b"a" * 16) == slow_hash("secret", b"a" * 16)
