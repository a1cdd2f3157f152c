"""What a model in its process gets of each type of ``docs/types.md``: alike from every format."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from gateway.protocols.wires import decode
from registry.signature import Signature
from tests.gateway.protocols.type_bodies import WRITERS
from tests.gateway.protocols.type_rows import DASH, FORMATS, REFUSED, ROWS, Row
from tests.gateway.serving.talkers import talking

DAY = np.datetime64("2024-05-01T12:00:00.123456789")
SAMPLES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [-(2**31), 2**31 - 1],
    "long, up to 2^53": [-(2**53), 2**53],
    "long, beyond 2^53": [-(2**63), 2**63 - 1],
    "float": [0.1, -1.5],
    "float or double, from float16": [1.5, -0.25],
    "double": [0.1, 1e308],
    "double, infinity": [np.inf, -np.inf],
    "float, double, missing": [0.5, None],
    "string": ["日本", "x"],
    "string, from categories": ["low", "high"],
    "string, missing": ["x", None],
    "binary": [b"\xff", b"x"],
    "binary, missing": [b"\xff", None],
    "datetime": [DAY, DAY],
    "datetime, missing": [DAY, None],
    "array": [["x"], []],
    "array of numbers, some missing": [[1.5, None], [2.5]],
    "object": [{"x": 1.5, "n": None}, {"x": 2.5, "n": 1}],
    "map": [{"k": 1}, {}],
    "any": [[1, 2], []],
}
GETS = {
    "boolean": "bool bool", "integer": "int32 int", "long": "int64 int",
    "float": "float32 float", "double": "float64 float", "string": "str str",
    "binary": "object bytes", "datetime": "datetime64[ns] Timestamp", "array": "object list",
    "object": "object dict", "map": "object dict", "any": "object list",
}  # fmt: skip
GAPS = {
    "string, missing": "str float", "binary, missing": "object float",
    "datetime, missing": "datetime64[ns] NaTType",
}  # fmt: skip
"""By the title of a row, what else stands in its column: as pandas has what is missing."""


class Witness:
    """Answers for each row what it was given there: the column's type, its own, and the value."""

    feature_names_in_ = np.array(["c"], dtype=object)

    def predict(self, frame: Any) -> Any:
        cells, kind = frame["c"], frame["c"].dtype
        return np.array([f"{kind} {type(cell).__name__} {cell!r}" for cell in cells], dtype=object)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_model_gets_the_same_of_each_type_from_every_format(tmp_path: Path) -> None:
    async def story() -> dict[str, set[tuple[str, ...]]]:
        async with talking(tmp_path, Witness()) as runner:
            return {row.title: await told(runner, row) for row in ROWS if row.title in SAMPLES}

    found = asyncio.run(story())

    assert {title: len(answers) for title, answers in found.items()} == dict.fromkeys(SAMPLES, 1)
    for row in (row for row in ROWS if row.title in SAMPLES):
        [answer] = found[row.title]
        kinds = {" ".join(said.split(" ", 2)[:2]) for said in answer}
        assert kinds == {GETS[row.spec.type], GAPS.get(row.title, GETS[row.spec.type])}, row.title
    exact = "int64 int"
    assert found["long, beyond 2^53"] == {(f"{exact} {-(2**63)}", f"{exact} {2**63 - 1}")}


async def told(runner: Any, row: Row) -> set[tuple[str, ...]]:
    """Return what the model says of a row's values, from each format that carries them."""
    values, answers = SAMPLES[row.title], set()
    for form, cell in zip(FORMATS, row.cells, strict=True):
        if cell == DASH or cell.startswith(REFUSED):
            continue
        for body in WRITERS[form](row, values):
            batch = decode(body.protocol, body.content, body.head, Signature((row.spec,))).batch
            if batch.rows == len(values):
                answers.add(tuple((await runner.predict(batch, {})).arrays[0].tolist()))
    return answers
