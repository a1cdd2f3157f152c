"""A model without a signature that takes numbers and nothing else: texts are refused for it. Pure.

Its process has tried it (``numbers_trial``); the worker refuses, and asks no process to say no.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

from registry.tensors import DOCUMENT, Batch
from tracking.errors import InputMismatch

_NAMES: Mapping[type, str] = {str: "a string", list: "an array", dict: "an object"}
"""What is no number, and how it is called; a missing value may be one."""

_SHOWN_CHARACTERS = 64


class NumbersOnly(Struct, frozen=True):
    """Immutable.

    Args:
        names: The columns that have to be numbers; empty where columns go by position: then all.
    """

    names: tuple[str, ...] = ()

    def check(self, batch: Batch, params: Mapping[str, Any]) -> None:
        """Refuse rows of which a cell is no number; documents are refused by a better sentence.

        Raises:
            InputMismatch: One is not.
        """
        if params.get(DOCUMENT):
            return
        names: Sequence[str] = batch.names or [str(at) for at in range(len(batch.arrays))]
        for name, array in zip(names, batch.arrays, strict=False):
            if array.dtype.kind == "O" and (not self.names or name in self.names):
                _check_cells(name, array)


def _check_cells(name: str, array: NDArray[Any]) -> None:
    for at, cell in enumerate(array.reshape(-1).tolist()):
        if type(cell) in _NAMES and not _is_number(cell):
            row, place = divmod(at, array.size // len(array))
            column = name if array.ndim == 1 else str(place)
            raise InputMismatch(
                f"Column {column[:_SHOWN_CHARACTERS]!r}, row {row}: expected a number, got "
                f"{_NAMES[type(cell)]}: the model takes numbers only."
            )


def _is_number(cell: object) -> bool:
    """Say whether a cell is a text that libraries read as a number."""
    if not isinstance(cell, str):
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True
