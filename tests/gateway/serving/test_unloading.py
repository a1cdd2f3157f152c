"""Memory truly returns: versions are loaded and unloaded in a process that is then weighed."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from gateway.serving.cache import Cache
from gateway.serving.engines.store import EngineStore
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Loader
from gateway.serving.progress import Progress
from registry.route import VersionKey
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.unloading_story import WARM_CYCLES, Life

ROOT = Path(__file__).parents[3]
MIB = 1 << 20
ENGINE_CYCLES = 20


def big_forest() -> RandomForestRegressor:
    """Fit a forest whose engine takes a megabyte."""
    rows = np.random.default_rng(0).random((1000, 6))
    forest = RandomForestRegressor(n_estimators=30, max_features=1, random_state=0)
    return forest.fit(rows, rows.sum(axis=1) + rows[:, 0] ** 2)


def prepare(root: Path) -> list[VersionKey]:
    """Save a model with an engine, make it, and one without; return their versions."""
    example = np.zeros((2, 6))
    folders = [
        sp.save(root / "store" / f"v{number}", model, example=example)
        for number, model in ((1, big_forest()), (2, sp.Affine(2.0)))
    ]
    records = [sp.record("iris", number, folder) for number, folder in enumerate(folders, 1)]
    cache = Cache(root / "cache", sp.FolderStore(root / "store"))
    engines = EngineStore(root / "engines")
    loader = Loader(cache, RunnerLimits(warm_calls=1), root / "run", engines=engines)
    for record in records:
        loader(record, Progress()).close()
    return [record.key for record in records]


def run(root: Path, keys: list[VersionKey]) -> Life:
    told = subprocess.run(
        [sys.executable, "-m", "tests.gateway.serving.unloading_story", str(root),
         msgspec.json.encode(keys).decode()],
        cwd=ROOT, capture_output=True, check=True, timeout=150,
    )  # fmt: skip
    return msgspec.json.decode(told.stdout, type=Life)


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_unloading_gives_back_what_loading_took(tmp_path: Path) -> None:
    with_engine, with_runner = prepare(tmp_path)
    half = [with_engine] * (ENGINE_CYCLES // 2)
    cycles = [*half, with_runner, *half]

    life = run(tmp_path, cycles)

    before = life.taken[WARM_CYCLES]
    sizes = list(zip(cycles, life.loaded, strict=True))
    assert min(size for key, size in sizes if key == with_engine) > MIB // 2
    assert min(size for key, size in sizes if key == with_runner) > 10 * MIB
    assert max(life.taken[WARM_CYCLES:]) < before * 1.1, life.taken
    assert (life.mapped, life.children) == ([], 0)
