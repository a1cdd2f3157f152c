"""Long lists in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from tracking.chunks import chunks


@given(st.lists(st.integers()), st.integers(1, 9))
def test_the_pieces_make_the_whole(keys: list[int], size: int) -> None:
    pieces = list(chunks(keys, size))

    assert [key for piece in pieces for key in piece] == keys
    assert all(1 <= len(piece) <= size for piece in pieces)
