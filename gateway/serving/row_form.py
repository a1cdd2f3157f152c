"""What rows an estimator takes that takes numbers only, where no signature says so. Pure.

Its process has tried it (``row_trial``); the worker refuses what does not fit, and asks no process
to say no.
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
_SHOWN_NAMES = 5
_MATRIX = 2


class RowForm(Struct, frozen=True):
    """Immutable.

    Args:
        names: Its columns, which have to be numbers; empty where they go by position: then all.
        required: Those that may not be missing.
        width: How many values rows without names have; 0 where several numbers of them may do.
        allows_more: Whether there may be other columns.
    """

    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    width: int = 0
    allows_more: bool = True

    def check(self, batch: Batch, params: Mapping[str, Any]) -> None:
        """Refuse rows that the model does not take; documents are refused by a better sentence.

        Raises:
            InputMismatch: A column is missing or not expected, a row has another number of values,
                or a cell is no number.
        """
        if params.get(DOCUMENT):
            return
        if self.names and batch.names:
            self._check_names(batch.names)
        else:
            self._check_width(batch)
        names: Sequence[str] = batch.names or [str(at) for at in range(len(batch.arrays))]
        for name, array in zip(names, batch.arrays, strict=False):
            if array.dtype.kind == "O" and (not self.names or name in self.names):
                _check_cells(name, array)

    def _check_names(self, given: Sequence[str]) -> None:
        missing = [name for name in self.required if name not in given]
        more = [] if self.allows_more else [name for name in given if name not in self.names]
        told = [("missing", missing), ("not expected", more)]
        if problems := [f"{what} {_listed(names)}" for what, names in told if names]:
            raise InputMismatch(
                f"The columns do not fit: {'; '.join(problems)}. Expected {_listed(self.names)}."
            )

    def _check_width(self, batch: Batch) -> None:
        first, found = batch.arrays[0], len(batch.arrays)
        if batch.is_matrix or (found == 1 and first.ndim > 1):
            found = first.shape[1] if first.ndim == _MATRIX else -1
        if self.width and found < 0:
            raise InputMismatch(
                f"The rows have {first.ndim} axes: expected 2, rows of {self.width} values each."
            )
        if self.width and found != self.width:
            raise InputMismatch(f"Row 0: expected {self.width} values, got {found}.")


def _check_cells(name: str, array: NDArray[Any]) -> None:
    for at, cell in enumerate(array.reshape(-1).tolist()):
        if type(cell) in _NAMES and not _is_number(cell):
            row, place = divmod(at, array.size // len(array))
            column = name if array.ndim == 1 else str(place)
            raise InputMismatch(
                f"Column {_shown(column)}, row {row}: expected a number, got "
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


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(map(_shown, names[:_SHOWN_NAMES])) + more


def _shown(name: str) -> str:
    return repr(name[:_SHOWN_CHARACTERS])
