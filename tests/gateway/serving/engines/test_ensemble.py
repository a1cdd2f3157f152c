"""Engines within an engine: what is planted in their files is refused or found out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.proof import make_engine
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.fitted import ENSEMBLES, Saved
from tests.gateway.serving.engines.test_folder import change, copied, describe


def made(kind: str, folder: Path) -> Path:
    folder.mkdir()
    assert make_engine(Saved(ENSEMBLES[kind](), fitted.ROWS[:5]), folder) == ""
    return folder


def member(**changes: Any) -> Any:
    """Plant a fault in the first member."""
    return describe(lambda d: d["steps"][0]["members"][0].update(changes))


def step(**changes: Any) -> Any:
    return describe(lambda d: d["steps"][0].update(changes))


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("weighted mean", tmp_path_factory.mktemp("weighted") / "engine")


@pytest.mark.parametrize(
    "plant",
    [
        change("0.weights", lambda a: a[:1]),
        change("0.weights", lambda a: a.astype(str)),
        change("0.0.0.coef", lambda a: a[:-1]),
        lambda folder: (folder / "0.1.0.nodes.npy").unlink(),
        member(columns=[0, 99]),
        member(columns=[0, 1]),
        member(method="transform"),
        member(steps=[]),
        member(calibration="sigmoid"),
        member(calibration="isotonic"),
        step(members=[]),
        step(width=0),
        step(combining="votes"),
        describe(lambda d: d["steps"][0].update(members=d["steps"][0]["members"] * 40)),
    ],
)
def test_a_bad_ensemble_is_refused(weighted: Path, plant: Any, tmp_path: Path) -> None:
    folder = copied(weighted, tmp_path / "engine")
    read_engine(folder)

    plant(folder)

    with pytest.raises((BadEngine, FileNotFoundError)):
        read_engine(folder)


@pytest.mark.parametrize(
    "plant",
    [
        change("0.0.at0", lambda a: a[::-1].copy()),
        change("0.0.becomes0", lambda a: a[:-1]),
        change("0.0.at0", lambda a: a.astype(np.float32)),
    ],
)
def test_a_bad_curve_is_refused(plant: Any, tmp_path: Path) -> None:
    folder = made("curves on shares", tmp_path / "engine")
    read_engine(folder)

    plant(folder)

    with pytest.raises(BadEngine):
        read_engine(folder)


class Reweighed(Saved):
    """Its weights were changed after the engine has read them."""

    def predict_batch(self, batch: Any, params: Any) -> Any:
        self.native.weights = [0.3001, 0.6999]
        return super().predict_batch(batch, params)


def test_a_weight_that_is_off_is_found(tmp_path: Path) -> None:
    why = make_engine(Reweighed(ENSEMBLES["weighted mean"](), fitted.ROWS[:5]), tmp_path)

    assert "answered otherwise than it in 'predict'" in why
