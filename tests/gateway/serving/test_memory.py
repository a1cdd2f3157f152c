import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gateway.serving import memory
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.proof import make_engine
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.engines import fitted

MIB = 1 << 20
_EATER = "import sys; eaten = bytearray({size}); print('full', flush=True); sys.stdin.read()"


class Holding:
    """Holds arrays as engines do: plain, in a view, and in a closure."""

    def __init__(self, plain: object, view: object, closed_over: object) -> None:
        self.plain = plain
        self.view = view
        self.answer = lambda: closed_over


def test_an_object_takes_what_it_holds_once_whoever_refers_to_it() -> None:
    plain, viewed, closed = (np.ones(MIB // 8) for _ in range(3))
    # A second view, and the array itself once more, weigh nothing more.
    holding = Holding([plain, plain], (viewed[1:], viewed[:5]), closed)

    found = memory.object_bytes(holding)

    assert 3 * MIB <= found < 3 * MIB + 20_000


def test_a_mapped_file_counts_in_full(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros(MIB // 8))
    mapped = np.load(file, mmap_mode="r").view(np.ndarray)

    assert MIB <= memory.object_bytes([mapped]) < MIB + 20_000


def test_an_engine_takes_its_arrays_and_no_library(tmp_path: Path) -> None:
    assert make_engine(fitted.Saved(fitted.FITS["forest"](), fitted.PAIR[:2]), tmp_path) == ""
    written = sum(file.stat().st_size for file in tmp_path.glob("*.npy"))

    found = memory.object_bytes(read_engine(tmp_path))

    assert written // 2 < found < 3 * written + 200_000


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_a_process_takes_what_it_and_its_children_hold() -> None:
    inner = _EATER.format(size=40 * MIB)
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()

        found = memory.process_bytes(process.pid)

        process.communicate()
    assert 40 * MIB < found < 120 * MIB
    assert sp.until(lambda: memory.process_bytes(process.pid) == 0)


def test_what_cannot_say_what_it_takes_weighs_nothing() -> None:
    assert memory.weigh(object()) == 0


def test_workers_share_a_budget_and_none_given_is_a_share_of_what_there_is() -> None:
    assert memory.worker_budget(900, 3) == 300
    share = memory.available_bytes() * memory.DEFAULT_SHARE
    assert memory.worker_budget(0, 2) == int(share) // 2
