"""Long lists of keys in pieces: a database takes so many bound values in one statement. Pure."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_MOST_KEYS = 5_000


def chunks(keys: Sequence[T], size: int = _MOST_KEYS) -> Iterator[Sequence[T]]:
    """Yield the keys in order, at most ``size`` at a time."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
