"""Small real models, good and hostile, and the folders they are saved in."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from registry.digest import digest, hash_folder
from registry.input_example import write_input_example
from registry.model_folder import ModelConfig, write_model_folder
from registry.route import VersionKey, VersionRecord
from registry.signature import Signature
from registry.tensors import Batch
from tracking.errors import ResourceMissing
from tracking.wire import FileInfo

DOUBLE, RAISE, CRASH, HANG, EXIT, FLOOD, SPEAK_OUT, ONE_ROW, SLOW = map(float, range(9))
WIDE, LEAK, LEAVE_CHILD = map(float, range(9, 12))
"""What a row asks of ``Obedient`` in its first column."""


class Obedient:
    """Doubles the second column, or does as the first one says."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        for command in rows[:, 0]:
            _obey(command)
        if WIDE in rows[:, 0]:
            return np.zeros((len(rows), 1000))
        return rows[:1, 1] if ONE_ROW in rows[:, 0] else rows[:, 1] * 2.0


class Affine:
    """Answers ``slope * x``; knows which process answers."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        return rows[:, 0] * self.slope


class Diarist:
    """Takes its time for a call, and for each row; writes down the rows that it was asked for.

    It answers nothing while there is a file ``shut`` beside the diary.

    Args:
        diary: The file.
        call_s: For each call.
        row_s: For each row.
    """

    def __init__(self, diary: Path, *, call_s: float = 0.0, row_s: float = 0.0) -> None:
        self.diary = str(diary)
        self.call_s = call_s
        self.row_s = row_s

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        asked = np.asarray(rows)[:, 0]
        with Path(self.diary).open("a", encoding="utf-8") as diary:
            diary.write(" ".join(str(float(x)) for x in asked) + "\n")
        while Path(self.diary).with_name("shut").exists():
            time.sleep(0.002)
        time.sleep(self.call_s + self.row_s * len(asked))
        return np.asarray(asked * 2.0)


class Diary:
    """What a ``Diarist`` has written down, and the door that keeps it from answering."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._door = path.with_name("shut")

    def calls(self) -> list[list[float]]:
        """Return the rows of each call, but for negative ones: those are of the warm-up."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        rows = [[float(x) for x in line.split() if float(x) >= 0] for line in lines]
        return [call for call in rows if call]

    def rows(self) -> list[float]:
        return sorted(row for call in self.calls() for row in call)

    def shut(self) -> None:
        self._door.touch()

    def open(self) -> None:
        self._door.unlink()


class Centred:
    """Answers how far a row is from the mean of those beside it, after a while."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        time.sleep(0.01)
        found: NDArray[Any] = rows[:, 0] - rows[:, 0].mean()
        return found


class Textual:
    """Answers text."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.array(["even" if x % 2 == 0 else "odd" for x in rows[:, 0]])


class Bomb:
    """Runs code while it is unpickled."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, (self.code,)


def _obey(command: float) -> None:
    if command in _DEEDS:
        _DEEDS[command]()


def _raise() -> None:
    secret = 47 * 100 + 11  # so that it does not stand in the source
    raise ValueError(f"no such row, said the secret payload {secret}")


def _hang() -> None:
    while True:
        pass


def _leak() -> None:
    kept = []
    while True:
        kept.append(np.zeros(1 << 24))


def _leave_child() -> None:
    """Leave a child that keeps the socket: a fork that Python does not see closes nothing."""
    if not ctypes.CDLL(None).fork():
        time.sleep(600)
    os._exit(3)


_DEEDS: dict[float, Callable[[], object]] = {
    RAISE: _raise,
    CRASH: lambda: os.kill(os.getpid(), signal.SIGSEGV),
    HANG: _hang,
    EXIT: lambda: os._exit(3),
    FLOOD: lambda: [sys.stdout.write("x" * 100 + "\n") for _ in range(20_000)],
    SPEAK_OUT: lambda: sys.stdout.write("the model speaks\n"),
    SLOW: lambda: time.sleep(0.3),
    LEAK: _leak,
    LEAVE_CHILD: _leave_child,
}

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def save(
    folder: Path,
    model: object,
    *,
    example: NDArray[Any] | None = None,
    signature: Signature | None = None,
) -> Path:
    """Save a model the way the sklearn flavor does, in Python's own pickle."""
    folder.mkdir(parents=True)
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    info = None if example is None else write_input_example(folder, example)
    flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}}
    config = ModelConfig(flavors=dict(flavors), signature=signature, saved_input_example_info=info)
    write_model_folder(folder, config)
    return folder


def matrix(*rows: tuple[float, ...]) -> Batch:
    return Batch(names=(), arrays=(np.array(rows, dtype=np.float64),), is_matrix=True)


def record(model: str, version: int, folder: Path) -> VersionRecord:
    """Describe a saved folder as a version whose storage is the folder's name."""
    key = VersionKey(model, version, digest(hash_folder(folder)))
    return VersionRecord(key, storage=folder.name, stage="None")


class FolderStore:
    """An artifact store over a folder that counts what is fetched."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.fetched = 0

    def walk(self, path: str) -> Iterator[FileInfo]:
        root = self._root / path
        for file in sorted(root.rglob("*")):
            if file.is_file():
                yield FileInfo(path=file.relative_to(root).as_posix(), is_dir=False)

    def get(self, path: str) -> Iterator[bytes]:
        self.fetched += 1
        try:
            yield (self._root / path).read_bytes()
        except FileNotFoundError as error:
            raise ResourceMissing(f"There is no file {path!r}.") from error


def until(claim: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    """Poll until a claim holds; say whether it does in time."""
    deadline_s = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


async def eventually(claim: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    """Do the same on the running event loop, which goes on meanwhile."""
    deadline_s = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.005)
    return True


def descriptors() -> int:
    """Count the open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
