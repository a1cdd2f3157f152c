"""The walk as machine code: the same leaves, and nothing that lets it look where it should not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.kernel import CompiledWalk, can_compile
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.test_folder import change, copied, describe, made, put

Answer = NDArray[Any]


def answers_by(folder: Path, rows: Answer, **ways: int) -> Answer:
    """Answer rows by the ways that are named, whatever was the fastest."""
    none = {"table_from_rows": 0, "compiled_from_rows": 0}
    describe(lambda d: d["steps"][0].update(none | ways))(folder)
    answer: Answer = read_engine(folder).answer(rows, "predict")
    return answer


@pytest.mark.parametrize("kind", ["histograms with gaps", "forest with gaps", "forest, number"])
def test_machine_code_ends_in_the_leaves_of_the_walk(kind: str, tmp_path: Path) -> None:
    folder = made(kind, tmp_path / "engine")
    source = fitted.GAPPY if "gaps" in kind else fitted.ROWS
    rows = np.concatenate([source, source[::-1] * 3, np.zeros((1, fitted.WIDTH))])

    assert can_compile()
    for count in (1, 2, 63, 64, 65, len(rows)):
        walked = answers_by(folder, rows[:count])
        compiled = answers_by(folder, rows[:count], compiled_from_rows=1)
        assert compiled.tolist() == walked.tolist()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made("forest, number", tmp_path_factory.mktemp("compiled") / "engine")
    answers_by(folder, fitted.ROWS, compiled_from_rows=1)
    return folder


@pytest.mark.parametrize(
    "fault",
    [
        change("0.depths", put(0, 10**9)),
        change("0.depths", put(0, -1)),
        change("0.depths", lambda a: a[:-1]),
        change("0.depths", lambda a: a.astype(np.int32)),
        lambda folder: (folder / "0.depths.npy").unlink(),
    ],
)
def test_depths_that_are_none_are_refused(compiled: Path, fault: Any, tmp_path: Path) -> None:
    folder = copied(compiled, tmp_path / "engine")

    fault(folder)

    with pytest.raises(BadEngine):
        read_engine(folder)


def test_what_was_checked_cannot_be_changed_afterwards(compiled: Path, tmp_path: Path) -> None:
    folder = copied(compiled, tmp_path / "engine")
    expected = answers_by(folder, fitted.ROWS, compiled_from_rows=1)
    engine = read_engine(folder)
    nodes = np.load(folder / "0.nodes.npy", mmap_mode="r+")

    nodes[:] = 1 << 60
    nodes.flush()

    assert engine.answer(fitted.ROWS, "predict").tolist() == expected.tolist()


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 3)), np.zeros((2, 2), np.float32), np.zeros((2, 4))[:, ::2]]
)
def test_rows_of_another_form_are_refused(rows: Answer) -> None:
    stump = np.array([(1 << 16) | 1, 1 << 16, 2 << 16])
    walk = CompiledWalk(
        stump, np.array([0.5, np.inf, np.inf]), np.ones(3, bool), np.array([1]), width=2
    )

    assert walk(np.array([[9.0, 0.5], [0.0, 0.6]])).tolist() == [[1, 2]]
    assert walk(np.zeros((0, 2))).shape == (1, 0)
    with pytest.raises(ValueError, match=r"\("):
        walk(rows)
