"""Scoring requests, good and odd, for a few models: the same list whoever asks for it.

Each is made from rows that fit and one thing that is odd about it; that thing is its tag.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np
from msgspec import Struct

from registry.signature import ColumnSpec, Signature
from tests.interop.models import Answering, tensor_model

JSON, CSV = "application/json", "text/csv"
SEED = 20251124
GOOD = "as it should be"


class Case(Struct, frozen=True):
    """One request: to which model, in which shape, what is odd about it, and the bytes."""

    model: str
    shape: str
    tag: str
    content_type: str
    body: str


def mixed_answer(frame: Any) -> Any:
    """Return one number a row that depends on every column; NaN where a number is missing."""
    days = frame["when"].astype("datetime64[ns]").astype("int64") // 86_400_000_000_000
    return flat_answer(frame) + np.asarray(days + frame.get("extra", 0.0))


def flat_answer(frame: Any) -> Any:
    """Return the same of a frame without a moment."""
    words = [len(text) if isinstance(text, str) else 0 for text in frame["word"]]
    # Small enough that nothing is lost beside it, and exact.
    wide = (frame["count"] % 1_000_003).astype("float64")
    flags = frame["flag"].astype("float64")
    return np.asarray(frame["price"] + wide + 10.0 * flags) + np.array(words)


def small_answer(frame: Any) -> Any:
    """Return the sum of a 32-bit integer and a 32-bit float."""
    return np.asarray(frame["whole"].astype("float64") + frame["real"].astype("float64"))


cloudpickle.register_pickle_by_value(sys.modules[__name__])

MIXED = Signature(
    (
        ColumnSpec("double", "price"),
        ColumnSpec("long", "count"),
        ColumnSpec("string", "word"),
        ColumnSpec("boolean", "flag"),
        ColumnSpec("datetime", "when"),
        ColumnSpec("double", "extra", required=False),
    ),
    (ColumnSpec("double"),),
)
FLAT = Signature(MIXED.inputs[:4], MIXED.outputs)
SMALL = Signature(
    (ColumnSpec("integer", "whole"), ColumnSpec("float", "real")), (ColumnSpec("double"),)
)
ROW: dict[str, Any] = {
    "price": 1.5, "count": 7, "word": "abc", "flag": True, "when": "2024-05-01T00:00:00",
}  # fmt: skip
MODELS: dict[str, tuple[Any, Signature, Any]] = {
    "mixed": (Answering(mixed_answer, *ROW, "extra"), MIXED, None),
    "flat": (Answering(flat_answer, *(name for name in ROW if name != "when")), FLAT, None),
    "small": (Answering(small_answer, "whole", "real"), SMALL, None),
    "table": tensor_model(lambda rows: rows.sum(axis=1), np.ones((1, 3))),
}

NAN = float("nan")
FLAT_ROW = {name: value for name, value in ROW.items() if name != "when"}
ODD: dict[str, list[Any]] = {
    "price": [3, -0.0, 1e308, None, NAN, float("inf"), "1.5", "x", True, [1.0], {"a": 1.0}, 2**60],
    "count": [2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**70, 3.0, 3.5, None, "3", "x", True, []],
    "word": ["", "日本", "NA", 'say "hi", twice', "two\nlines", None, 5, 1.5, True, ["a"]],
    "flag": [False, None, 0, 1, "true", "x", 1.0],
    "when": [
        "2024-05-01", "2024-05-01T12:34:56.789", "2024-05-01T00:00:00Z",
        "2024-05-01T02:00:00+02:00", "1969-12-31T23:59:59", "yesterday", "", None, 5, 1.5, True,
    ],
    "extra": [2.0, None, NAN, "x"],
    "whole": [2**31 - 1, 2**31, -(2**31), 4.0, 4.5, None, "4", True],
    "real": [0.1, 16777217, 1e39, None, "4", NAN],
}  # fmt: skip

Shape = Callable[[list[dict[str, Any]]], Any]
SHAPES: dict[str, Shape] = {
    "split": lambda rows: {
        "dataframe_split": {"columns": [*rows[0]], "data": [[*row.values()] for row in rows]}
    },
    "records": lambda rows: {"dataframe_records": rows},
    "instances": lambda rows: {"instances": rows},
    "inputs": lambda rows: {"inputs": {name: [row[name] for row in rows] for name in rows[0]}},
}


def cases() -> list[Case]:
    """Return all requests, in order."""
    chance = random.Random(SEED)
    return [*_odd_values(), *_odd_columns(), *_odd_bodies(), *_tables(chance), *_good(chance)]


def _odd_values() -> Iterator[Case]:
    small: dict[str, Any] = {"whole": 3, "real": 0.5}
    for name, values in ODD.items():
        model, row = ("small", small) if name in small else ("mixed", ROW)
        for value in values:
            tag = f"{name}: {_shown(value)}"
            for shape in SHAPES:
                yield _json_case(model, shape, tag, [row, row | {name: value}])
            # MLflow reads no moment from CSV, so that one case has it and no other.
            flat, whose = (FLAT_ROW, "flat") if name in FLAT_ROW else (row, model)
            if not isinstance(value, list | dict):
                yield _csv_case(whose, tag, [flat, flat | {name: value}])


def _odd_columns() -> Iterator[Case]:
    turned = dict(reversed(ROW.items()))
    missing = {name: value for name, value in ROW.items() if name != "count"}
    variants = {
        "columns in another order": turned,
        "a column more": ROW | {"more": 1},
        "all columns and one more": ROW | {"extra": 2.0, "more": 1},
        "a column less": missing,
        "a column by another name": missing | {"Count": 7},
    }
    for tag, row in variants.items():
        for shape in SHAPES:
            yield _json_case("mixed", shape, tag, [row, row])
        flat = {name: value for name, value in row.items() if name != "when"}
        yield _csv_case("flat", tag, [flat, flat])


def _odd_bodies() -> Iterator[Case]:
    split = SHAPES["split"]([ROW])
    bodies: dict[str, Any] = {
        "two formats": split | {"instances": [ROW]},
        "no format": {"rows": [ROW]},
        "a list": [ROW],
        "a number": 5,
        "null": None,
        "with params": split | {"params": {"depth": 3}},
        "params are a list": split | {"params": [1]},
        "params are null": split | {"params": None},
        "an unknown key": split | {"comment": "x"},
        "instances is a number": {"instances": 5},
        "instances is empty": {"instances": []},
        "records is empty": {"dataframe_records": []},
        "records is an object": {"dataframe_records": ROW},
        "split is a list": {"dataframe_split": [ROW]},
        "split without data": {"dataframe_split": {"columns": [*ROW]}},
        "split with an index": {"dataframe_split": split["dataframe_split"] | {"index": ["i"]}},
        "split with an unknown key": {"dataframe_split": split["dataframe_split"] | {"x": 1}},
        "split without rows": {"dataframe_split": {"columns": [*ROW], "data": []}},
        "a short row": {"dataframe_split": {"columns": [*ROW], "data": [[1.0]]}},
        "a long row": {"dataframe_split": {"columns": [*ROW], "data": [[*ROW.values(), 1, 2]]}},
        "messages": {"messages": [{"role": "user", "content": "hi"}]},
        "one row by name": {"inputs": ROW},
        **{
            f"a moment alone: {text}": SHAPES["split"]([ROW | {"when": text}])
            for text in ("2024/05/01", "2024-5-1 9:05", "2024-05", "NaT", "01/05/2024")
        },
        "columns of several lengths": {"inputs": {n: [v] for n, v in ROW.items()} | {"flag": []}},
    }
    for tag, body in bodies.items():
        yield Case("mixed", "body", tag, JSON, json.dumps(body))
    broken = {"nothing": "", "a half": '{"inputs": [', "no JSON": "x", "NaN key": "{NaN: 1}"}
    for tag, text in broken.items():
        yield Case("mixed", "body", tag, JSON, text)
    lines = {"no rows": "price,count\n", "nothing": "", "a quote that does not end": 'price\n"x'}
    for tag, text in lines.items():
        yield Case("flat", "csv", tag, CSV, text)
    good = json.dumps(split)
    for content_type in (
        "application/json; charset=utf-8", "application/json;charset=UTF-8", "text/plain",
        "application/json; charset=latin-1", "application/json; profile=x", "text/csv; header=no",
    ):  # fmt: skip
        yield Case("mixed", "type", content_type, content_type, good)


def _tables(chance: random.Random) -> Iterator[Case]:
    """Rows for the model that takes one tensor, good ones and odd ones."""
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    odd: dict[str, Any] = {
        GOOD: rows, "integers": [[1, 2, 3]], "two wide": [[1.0, 2.0]], "ragged": [*rows, [1.0]],
        "flat": [1.0, 2.0, 3.0], "deep": [rows], "empty": [], "an empty row": [[]],
        "text": [["x"] * 3],
        "digits": [["1", "2", "3"]], "null": [[1.0, None, 3.0]], "booleans": [[True, False, True]],
        "wide integers": [[2**60, 1, 1]], "NaN": [[NAN, 1.0, 1.0]], "a number": 5,
    }  # fmt: skip
    for tag, data in odd.items():
        for name in ("instances", "inputs"):
            yield Case("table", name, f"table: {tag}", JSON, json.dumps({name: data}))
        if isinstance(data, list):
            split = {"dataframe_split": {"columns": ["a", "b", "c"], "data": data}}
            yield Case("table", "split", f"table: {tag}", JSON, json.dumps(split))
    records = {"dataframe_records": [{"any name": row} for row in rows]}
    yield Case("table", "records", "table: a column of lists", JSON, json.dumps(records))
    for _ in range(20):
        data = [[chance.uniform(-1e6, 1e6) for _ in range(3)] for _ in range(chance.randint(1, 5))]
        for name in ("instances", "inputs"):
            yield Case("table", name, f"table: {GOOD}", JSON, json.dumps({name: data}))


def _good(chance: random.Random) -> Iterator[Case]:
    for number in range(20):
        rows = [
            {
                "price": chance.uniform(-1e3, 1e3),
                "count": chance.randrange(-(2**62), 2**62),
                "word": "".join(chance.choices("abc äé,\"'\n", k=chance.randint(1, 9))),
                "flag": chance.random() < 0.5,
                "when": f"20{chance.randint(10, 30)}-0{1 + number % 9}-11T0{number % 10}:00:00",
            }
            for _ in range(chance.randint(1, 4))
        ]
        for shape in SHAPES:
            yield _json_case("mixed", shape, GOOD, rows)
        flat = [{name: row[name] for name in FLAT_ROW} for row in rows]
        yield _csv_case("flat", GOOD, flat)


def _json_case(model: str, shape: str, tag: str, rows: list[dict[str, Any]]) -> Case:
    columns = dict.fromkeys(name for row in rows for name in row)
    filled = [{name: row.get(name, 1.0) for name in columns} for row in rows]
    return Case(model, shape, tag, JSON, json.dumps(SHAPES[shape](filled)))


def _csv_case(model: str, tag: str, rows: list[dict[str, Any]]) -> Case:
    columns = dict.fromkeys(name for row in rows for name in row)
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(name, 1.0)) for name in columns) for row in rows]
    return Case(model, "csv", tag, CSV, "\n".join(lines) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    return '"' + value.replace('"', '""') + '"'


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
