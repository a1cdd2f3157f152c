import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.serving.cache import Cache
from gateway.serving.failure import LoadCancelled, LoadFailed
from gateway.serving.progress import Progress
from gateway.serving.states import State
from registry.digest import hash_folder
from registry.route import VersionKey, VersionRecord
from tests.gateway.serving import specimens as sp
from tracking.errors import Unavailable
from tracking.wire import FileInfo


def stored(root: Path) -> VersionRecord:
    """Store a version of three files, one of them in a folder."""
    folder = root / "store" / "v1"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "model.pkl").write_bytes(bytes(range(256)) * 100)
    (folder / "code" / "own.py").write_text("x = 1")
    return sp.record("iris", 1, folder)


def opened(root: Path) -> tuple[Cache, sp.FolderStore]:
    store = sp.FolderStore(root / "store")
    return Cache(root / "cache", store), store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_a_version_is_fetched_once_and_proved_each_time(tmp_path: Path) -> None:
    record, (cache, store) = stored(tmp_path), opened(tmp_path)
    first: list[State] = []
    second: list[State] = []

    folder = cache.fetch(record, Progress(first.append))
    again = cache.fetch(record, Progress(second.append))

    assert hash_folder(folder) == hash_folder(tmp_path / "store" / "v1")
    assert (again, store.fetched) == (folder, 3)
    assert first == second == [State.FETCHING, State.VERIFYING]


def test_the_files_are_read_only(tmp_path: Path) -> None:
    record, (cache, _) = stored(tmp_path), opened(tmp_path)

    folder = cache.fetch(record, Progress())

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.rglob("*")}
    assert modes == {"MLmodel": "0o444", "model.pkl": "0o444", "code": "0o555", "own.py": "0o444"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.pkl").write_bytes(b"bit flip"),
        lambda folder: (folder / "model.pkl").unlink(),
        lambda folder: (folder / "extra").write_bytes(b""),
        lambda folder: (folder / "link").symlink_to("/etc/passwd"),
        shutil.rmtree,
    ],
)
def test_a_damaged_copy_is_fetched_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    record, (cache, store) = stored(tmp_path), opened(tmp_path)
    folder = cache.fetch(record, Progress())
    _make_writable(folder)
    damage(folder)

    cache.fetch(record, Progress())

    assert hash_folder(folder) == hash_folder(tmp_path / "store" / "v1")
    assert store.fetched == 6


def _make_writable(folder: Path) -> None:
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda folder: (folder / "model.pkl").write_bytes(bytes(range(256)) * 99 + bytes(256)),
            "The file 'model.pkl' has other bytes than the ones registered.",
        ),
        (lambda folder: (folder / "model.pkl").unlink(), "The file 'model.pkl' is missing."),
        (
            lambda folder: (folder / "new").write_bytes(b""),
            "The file 'new' was not there at registration.",
        ),
    ],
)
def test_files_that_are_not_the_ones_registered_never_load(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    record = stored(tmp_path)
    registered = hash_folder(tmp_path / "store" / "v1")
    store = sp.FolderStore(tmp_path / "store")
    cache = Cache(tmp_path / "cache", store, find_manifest=lambda _key: registered)
    damage(tmp_path / "store" / "v1")

    with pytest.raises(LoadFailed) as failed:
        cache.fetch(record, Progress())

    assert failed.value.reason == f"Its files are not the ones that were registered: {reason}"
    assert not failed.value.is_transient
    assert names(tmp_path / "cache") == []


class Troubled(sp.FolderStore):
    """A store that fails, or lies, in one way."""

    def __init__(self, root: Path, *, error: Exception | None = None, path: str = "") -> None:
        super().__init__(root)
        self._error = error
        self._path = path

    def walk(self, path: str) -> Iterator[FileInfo]:
        yield from super().walk(path)
        if self._path:
            yield FileInfo(path=self._path, is_dir=False)

    def get(self, path: str) -> Iterator[bytes]:
        if self._error is not None:
            raise self._error
        return super().get(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("The store does not answer."), "The store does not answer."),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_trouble_on_the_way_is_transient_and_leaves_nothing(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    record = stored(tmp_path)
    cache = Cache(tmp_path / "cache", Troubled(tmp_path / "store", error=error))

    with pytest.raises(LoadFailed, match=reason) as failed:
        cache.fetch(record, Progress())

    assert failed.value.is_transient
    assert names(tmp_path / "cache") == []


@pytest.mark.parametrize("path", ["../../evil", "/etc/evil", "a/../../evil", "a\0b"])
def test_a_store_cannot_write_outside_the_folder(tmp_path: Path, path: str) -> None:
    record = stored(tmp_path)
    cache = Cache(tmp_path / "cache", Troubled(tmp_path / "store", path=path))

    with pytest.raises(LoadFailed, match="outside its folder"):
        cache.fetch(record, Progress())

    assert not list(tmp_path.rglob("evil"))


def test_a_file_that_vanishes_on_the_way_is_named(tmp_path: Path) -> None:
    record = stored(tmp_path)
    cache = Cache(tmp_path / "cache", Troubled(tmp_path / "store", path="ghost.bin"))

    with pytest.raises(LoadFailed, match=r"ghost\.bin") as failed:
        cache.fetch(record, Progress())

    assert not failed.value.is_transient


def test_a_version_over_the_cap_is_refused(tmp_path: Path) -> None:
    record = stored(tmp_path)
    cache = Cache(tmp_path / "cache", sp.FolderStore(tmp_path / "store"), max_bytes=1000)

    with pytest.raises(LoadFailed, match="larger than 1000 bytes"):
        cache.fetch(record, Progress())


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64])
def test_a_version_without_a_digest_is_not_fetched(tmp_path: Path, digest: str) -> None:
    record = VersionRecord(VersionKey("iris", 1, digest), "v1", "None")
    cache, store = opened(tmp_path)

    with pytest.raises(LoadFailed, match="no digest"):
        cache.fetch(record, Progress())

    assert store.fetched == 0


def test_many_who_want_a_version_at_once_cost_one_download(tmp_path: Path) -> None:
    record, (cache, store) = stored(tmp_path), opened(tmp_path)

    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: cache.fetch(record, Progress()), range(8)))

    assert len(set(folders)) == 1
    assert store.fetched == 3


def test_what_a_killed_worker_left_behind_is_cleared_away(tmp_path: Path) -> None:
    record, (cache, _) = stored(tmp_path), opened(tmp_path)
    partial = tmp_path / "cache" / f".{record.key.digest}.partial"
    partial.mkdir()
    (partial / "MLmodel").write_text("half of it")

    cache.fetch(record, Progress())

    assert names(tmp_path / "cache") == [record.key.digest]


def test_waiting_for_another_process_can_be_called_off(tmp_path: Path) -> None:
    record, (cache, _) = stored(tmp_path), opened(tmp_path)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print(flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "cache" / f"{record.key.digest}.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    progress = Progress()
    timer = threading.Timer(0.1, progress.cancel)
    timer.start()

    with pytest.raises(LoadCancelled):
        cache.fetch(record, progress)

    other.communicate()
    timer.join()
