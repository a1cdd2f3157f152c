from pathlib import Path

import pytest

from gateway.serving.engines.proof import make_engine
from gateway.serving.engines.store import EngineStore, Kept
from gateway.serving.failure import LoadCancelled
from gateway.serving.messages import Ready
from gateway.serving.progress import Progress
from registry.signature import Signature, TensorSpec
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.fitted import FITS, Saved

DIGEST = "d" * 64
SIGNATURE = Signature(inputs=(TensorSpec("float64", (-1, fitted.WIDTH)),))


def keep(store: EngineStore, kind: str = "forest", why: str = "") -> Kept:
    with store.claimed(DIGEST, Progress()) as room:
        if not why:
            assert make_engine(Saved(FITS[kind](), fitted.ROWS[:5]), room) == ""
        return store.keep(DIGEST, Ready(SIGNATURE, "sklearn", 3, why))


def test_an_engine_is_kept_for_every_worker_of_the_host(tmp_path: Path) -> None:
    keep(EngineStore(tmp_path))

    kept = EngineStore(tmp_path).find(DIGEST)

    assert kept is not None
    assert kept.engine is not None
    assert kept.engine.description.kind == "RandomForestClassifier"
    assert (kept.verdict.signature, kept.verdict.warm_calls) == (SIGNATURE, 3)
    assert [path.name for path in tmp_path.glob(".*.partial")] == []


def test_that_there_is_none_is_kept_too(tmp_path: Path) -> None:
    keep(EngineStore(tmp_path), why="It has no form.")

    kept = EngineStore(tmp_path).find(DIGEST)

    assert kept is not None
    assert kept.engine is None
    assert kept.verdict.why == "It has no form."


def test_files_that_changed_are_not_used(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    keep(store)
    values = next(tmp_path.glob("*/arrays/0.values.npy"))
    values.chmod(0o644)
    data = bytearray(values.read_bytes())
    data[-1] ^= 1
    values.write_bytes(data)

    assert store.find(DIGEST) is None

    assert keep(store).engine is not None


def test_an_engine_of_other_libraries_is_made_anew(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    keep(store)
    verdict = next(tmp_path.glob("*/verdict.json"))
    verdict.chmod(0o644)
    verdict.write_text(verdict.read_text().replace("numpy ", "numpy 0."))

    assert store.find(DIGEST) is None


@pytest.mark.parametrize("bytes_", [b"", b"{}", b"[" * 10**5, b"\xff"])
def test_a_verdict_that_cannot_be_read_is_none(bytes_: bytes, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    keep(store)
    verdict = next(tmp_path.glob("*/verdict.json"))
    verdict.chmod(0o644)
    verdict.write_bytes(bytes_)

    assert store.find(DIGEST) is None


def test_what_a_process_claims_and_did_not_write_is_no_engine(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    with store.claimed(DIGEST, Progress()):
        kept = store.keep(DIGEST, Ready(SIGNATURE, "sklearn", 0, ""))

    assert kept.engine is None
    assert "What its process wrote is no engine" in kept.verdict.why


def test_only_one_makes_an_engine_and_who_waits_can_be_called_off(tmp_path: Path) -> None:
    store, progress = EngineStore(tmp_path), Progress()
    progress.cancel()

    with (
        store.claimed(DIGEST, Progress()),
        pytest.raises(LoadCancelled),
        EngineStore(tmp_path).claimed(DIGEST, progress),
    ):
        raise AssertionError

    with store.claimed(DIGEST, Progress()) as room:
        assert list(room.iterdir()) == []
