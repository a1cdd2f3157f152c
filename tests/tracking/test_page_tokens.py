"""Tokens lead back to their place, for their query only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.errors import InvalidRequest
from tracking.page_tokens import place_of, token_for

PLACES = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)


@given(PLACES, st.binary(max_size=50))
def test_a_token_leads_to_its_place(place: list[int | float], query: bytes) -> None:
    assert place_of(token_for(place, query=query), query=query) == place


@given(st.text(max_size=60))
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="page token"):
        place_of(text, query=b"q")


def test_a_token_of_another_query_or_secret_is_refused() -> None:
    token = token_for([5], query=b"q", secret=b"s")

    for query, secret in ((b"other", b"s"), (b"q", b"other"), (b"q", b"")):
        with pytest.raises(InvalidRequest, match="page token"):
            place_of(token, query=query, secret=secret)
