"""What a hostile process may leave where an engine should be: it is refused, and nothing hangs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.proof import make_engine
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.fitted import FITS, Saved

Plant = Callable[[Path], object]


def made(kind: str, folder: Path) -> Path:
    folder.mkdir()
    assert make_engine(Saved(FITS[kind](), fitted.ROWS[:5]), folder) == ""
    return folder


def copied(engine: Path, folder: Path) -> Path:
    """Copy the files of an engine, to plant a fault in."""
    folder.mkdir()
    for file in engine.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(name: str, how: Callable[[Any], Any]) -> Plant:
    """Plant a fault in an array."""

    def plant(folder: Path) -> None:
        np.save(folder / f"{name}.npy", how(np.load(folder / f"{name}.npy")))

    return plant


def put(position: int, value: float) -> Callable[[Any], Any]:
    def how(array: Any) -> Any:
        array[position] = value
        return array

    return how


def describe(how: Callable[[dict[str, Any]], object]) -> Plant:
    """Plant a fault in the description."""

    def plant(folder: Path) -> None:
        described = msgspec.json.decode((folder / "engine.json").read_bytes())
        how(described)
        (folder / "engine.json").write_bytes(msgspec.json.encode(described))

    return plant


def deepen(described: dict[str, Any]) -> None:
    described["steps"][0]["depth"] = 10**12


FAULTS: dict[str, Plant] = {
    "a circle": change("0.nodes", put(9, 0)),
    "a node far away": change("0.nodes", put(0, (10**9) << 16)),
    "a negative node": change("0.nodes", put(0, -1)),
    "a column that is not there": change("0.nodes", lambda a: a | 0xFFFF),
    "a leaf that lets go": change("0.thresholds", lambda a: np.minimum(a, 1e300)),
    "other shapes": change("0.thresholds", lambda a: a[:-1]),
    "other types": change("0.nodes", lambda a: a.astype(np.int32)),
    "values of other nodes": change("0.values", lambda a: a[:-1]),
    "text for numbers": change("0.values", lambda a: a.astype(str)),
    "no labels": lambda folder: (folder / "classes.npy").unlink(),
    "labels that are no list": change("classes", lambda a: a.reshape(1, -1)),
    "an array too few": lambda folder: (folder / "0.left.npy").unlink(),
    "too deep": describe(deepen),
    "no steps": describe(lambda d: d["steps"].clear()),
    "another method": describe(lambda d: d["methods"].append("transform")),
    "too few columns": describe(lambda d: d.update(width=0)),
    "a step that there is not": describe(lambda d: d["steps"][0].update(type="code")),
    "no JSON": lambda folder: (folder / "engine.json").write_bytes(b"\xff" * 64),
    "nested without end": lambda folder: (folder / "engine.json").write_bytes(b"[" * 10**5),
    "a truncated array": lambda folder: (folder / "0.nodes.npy").write_bytes(b"\x93NUMPY\x01"),
    "a pickle": lambda folder: np.save(
        folder / "0.left.npy", np.array([{}], dtype=object), allow_pickle=True
    ),
    "an array promised, not there": lambda folder: (folder / "0.nodes.npy").write_bytes(
        (folder / "0.nodes.npy").read_bytes()[:160]
    ),
    "a link": lambda folder: (folder / "more.npy").symlink_to("/etc/passwd"),
    "a stranger": lambda folder: (folder / "run.py").write_text("import os"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_engine_is_refused(fault: str, tmp_path: Path) -> None:
    folder = made("forest", tmp_path / "engine")
    read_engine(folder)

    FAULTS[fault](folder)

    with pytest.raises((BadEngine, FileNotFoundError)):
        read_engine(folder)


TABLE_FAULTS: dict[str, Plant] = {
    "no words": change("0.words", lambda a: a[:-1]),
    "words of another type": change("0.words", lambda a: a.astype(np.int64)),
    "a column that is not there": change("0.columns", put(0, 10**6)),
    "intervals out of order": change("0.cuts", lambda a: a[::-1].copy()),
    "a leaf that is not there": change("0.places", put(0, 10**9)),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_a_bad_table_is_refused(fault: str, tmp_path: Path) -> None:
    folder = made("boosting, number", tmp_path / "engine")
    describe(lambda d: d["steps"][0].update(table_from_rows=1))(folder)
    read_engine(folder)

    TABLE_FAULTS[fault](folder)

    with pytest.raises(BadEngine):
        read_engine(folder)


def test_a_table_without_leaves_answers_something_and_harms_nobody(tmp_path: Path) -> None:
    """Bits are not looked at one by one: an engine that lies about them gives wrong numbers."""
    folder = made("boosting, number", tmp_path / "engine")
    describe(lambda d: d["steps"][0].update(table_from_rows=1))(folder)
    change("0.words", np.zeros_like)(folder)

    answer = read_engine(folder).answer(fitted.ROWS, "predict")

    assert answer.shape == (len(fitted.ROWS),)


@pytest.mark.parametrize("rows", [1, 2, 8, 9, 40])
def test_walk_and_table_agree(rows: int, tmp_path: Path) -> None:
    folder = made("histograms with gaps", tmp_path / "engine")
    answers = []
    for first in (0, 1):
        describe(lambda d, n=first: d["steps"][0].update(table_from_rows=n))(folder)  # type: ignore[misc]
        answers.append(read_engine(folder).answer(fitted.GAPPY[:rows], "predict").tolist())

    assert answers[0] == answers[1]
