"""Tiny models whose versions differ on every row, and how a story brings them to a server."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

import stagedoor
from tests.journeys.server import Server

COLUMNS = 3
EXAMPLE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class Marked:
    """A model that adds its mark, a multiple of a thousand, to the sum of a row below a hundred.

    So the answer to a row tells which version gave it.
    """

    def __init__(self, mark: int, *, pause_s: float = 0.0) -> None:
        self.mark = mark
        self.pause_s = pause_s

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        time.sleep(self.pause_s)
        return np.asarray(np.asarray(rows).sum(axis=1) + 1000.0 * self.mark)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def marked_answer(version: int, row: list[float]) -> float:
    """Return what ``Marked(version)`` answers."""
    return sum(row) + 1000.0 * version


@contextmanager
def tracking_at(server: Server) -> Iterator[None]:
    """Let the SDK of this process work against a server."""
    before = stagedoor.get_tracking_uri()
    stagedoor.set_tracking_uri(server.url)
    try:
        yield
    finally:
        stagedoor.set_tracking_uri(before)


def register(server: Server, name: str, model: object, **options: Any) -> int:
    """Log a model and register it; return its version."""
    options.setdefault("input_example", EXAMPLE)
    with tracking_at(server), stagedoor.start_run():
        info = stagedoor.sklearn.log_model(model, "model", registered_model_name=name, **options)
    return int(info.registered_model_version or 0)


def register_marked(server: Server, name: str, count: int) -> None:
    """Register versions 1 to ``count``, each with its own number as its mark."""
    for version in range(1, count + 1):
        assert register(server, name, Marked(version)) == version


class Hostile(Marked):
    """A model that does something while it is unpickled."""

    def __init__(self, deed: str) -> None:
        super().__init__(99)
        self.deed = deed

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, (self.deed,)


class Sulking(Marked):
    """A model that answers its example, and raises on every other row."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        if not np.isin(rows, EXAMPLE).all():
            raise ValueError("no")
        return super().predict(rows)


class OneForAll(Marked):
    """A model that gives one answer, however many rows it is asked."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        return super().predict(rows)[:1]
