"""A ``text/csv`` body to a ``Batch``: a line of names, then a line a row. Pure.

Called by ``mlflow_scoring.py``. What a cell may say is the signature's to decide, as in JSON;
without one, a column is of the narrowest type that all of its cells have.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from gateway.protocols.caps import MAX_ELEMENTS
from gateway.protocols.conform import conform_columns, conform_rows
from gateway.protocols.elements import Element, Kind, expected
from gateway.protocols.nested import read_nested
from gateway.protocols.plan import Column, Plan, Tensor
from gateway.protocols.refusals import Where, in_column, listed, mismatch, no_rows
from registry.tensors import Batch
from tracking.errors import InputMismatch, MalformedBody, TooLarge

MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""The cells that stand for a missing value: those that pandas takes for one."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?[iI]nf(inity)?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False} | {
    "FALSE": False
}
_MAX_DIGITS = 400


def conform_csv(body: bytes, plan: Plan) -> Batch:
    """Turn a CSV body into a batch.

    Args:
        body: The bytes, within the size limit; UTF-8, with or without a byte order mark.
        plan: What the model takes.

    Raises:
        TooLarge: It holds too many cells.
        MalformedBody: It is not UTF-8 or not CSV, or its lines differ in their number of cells.
        InputMismatch: The rows do not fit.
    """
    names, rows = _read(body)
    if plan.names or (not plan.columns and plan.matrix is None):
        return conform_columns(_by_name(names, rows, plan), plan)
    elements = _positional(plan, len(names))
    columns = zip(*rows, strict=True)
    made = [
        _values(cells, element, in_column(name))
        for cells, element, name in zip(columns, elements, names, strict=True)
    ]
    return conform_rows([list(row) for row in zip(*made, strict=True)], None, plan)


def _read(body: bytes) -> tuple[list[str], list[list[str]]]:
    if body.count(b",") + body.count(b"\n") > MAX_ELEMENTS:
        message = f"The body holds more than {MAX_ELEMENTS} cells: send fewer rows per request."
        raise TooLarge(message)
    if b"\x00" in body:
        raise MalformedBody("The body holds a NUL character: leave it out.")
    lines = _lines(body)
    names, rows = lines[0], lines[1:]
    if not rows:
        raise no_rows()
    for index, row in enumerate(rows):
        if len(row) != len(names):
            want = f"{len(names)} cells as in the first line"
            raise mismatch(f"Row {index}", want, str(len(row)))
    return names, rows


def _lines(body: bytes) -> list[list[str]]:
    """Return the cells of each line that is not empty."""
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not UTF-8: encode it as UTF-8.") from error
    except csv.Error as error:
        message = "The body is not CSV: a quote does not end, or a cell is too long."
        raise MalformedBody(message) from error
    if not lines:
        raise MalformedBody("The body is empty: send a line of column names, then the rows.")
    return lines


def _by_name(names: list[str], rows: list[list[str]], plan: Plan) -> dict[str, list[Any]]:
    """Return the values of each column; the nameless first one of a written index is left out."""
    items: tuple[Column | Tensor, ...] = (*plan.columns, *plan.tensors)
    elements = {item.name: item.element for item in items}
    columns: dict[str, list[Any]] = {}
    for position, (name, cells) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        if not name and position == 0 and name not in elements and len(names) > 1:
            continue
        if name in columns:
            raise InputMismatch(f"The column {listed([name])} is named twice: name each once.")
        # A column that the model does not know is refused later, by its name.
        element = elements.get(name)
        where = in_column(name)
        columns[name] = _guessed(cells) if element is None else _values(cells, element, where)
    return columns


def _positional(plan: Plan, width: int) -> Sequence[Element]:
    if plan.columns and len(plan.columns) == width:
        return [column.element for column in plan.columns]
    if plan.columns:
        raise mismatch("The first line", f"{len(plan.columns)} columns", str(width))
    return [plan.tensors[0].element] * width


def _values(cells: Sequence[str], element: Element, where: Where) -> list[Any]:
    """Return what the cells of a column say, as JSON would."""
    parse = _parser(element.kind)
    values: list[Any] = []
    for index, cell in enumerate(cells):
        if cell in MISSING:
            values.append(None)
            continue
        value = parse(cell) if element.nested is None else read_nested(cell, where(index))
        if value is None:
            raise mismatch(where(index), expected(element), "another text")
        values.append(value)
    return values


def _parser(kind: Kind) -> Callable[[str], Any]:
    match kind:
        case Kind.FLOATING:
            return _float
        case Kind.INTEGER:
            return _number
        case Kind.BOOLEAN:
            return _BOOLEANS.get
        case Kind.TEXT | Kind.BINARY | Kind.DATETIME | Kind.NESTED:
            return str
        case _:
            assert_never(kind)


def _float(cell: str) -> float | None:
    text = cell.strip(" ")
    return float(text) if len(text) <= _MAX_DIGITS and _FLOAT.fullmatch(text) else None


def _number(cell: str) -> float | int | None:
    """Return an integer exactly, and what is written with a fraction as a float."""
    text = cell.strip(" ")
    if len(text) <= _MAX_DIGITS and _INTEGER.fullmatch(text):
        return int(text)
    return _float(cell)


def _guessed(cells: Sequence[str]) -> list[Any]:
    """Return the values of a column that no signature describes."""
    present = [cell for cell in cells if cell not in MISSING]
    for parse in (_number, _BOOLEANS.get):
        parsed = {cell: parse(cell) for cell in set(present)}
        if present and None not in parsed.values():
            return [parsed.get(cell) for cell in cells]
    return [None if cell in MISSING else cell for cell in cells]
