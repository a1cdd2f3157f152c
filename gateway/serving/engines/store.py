"""The host's folder of engines: what came of making each version's, once for all workers.

Beside the cached model files, by digest. Also that there is no engine, and why, is kept, so that
the next worker does not try again. Called in load threads.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.serving.engines.description import FORMAT, BadEngine
from gateway.serving.engines.folder import hash_files, read_engine, seal_file, seal_files
from gateway.serving.engines.in_worker import InWorker
from gateway.serving.file_lock import hold_lock
from gateway.serving.messages import Ready
from gateway.serving.progress import Progress
from gateway.serving.row_form import RowForm
from registry.signature import Signature

_LOG = logging.getLogger("stagedoor.serving")
_VERDICT = "verdict.json"
_FILES = "arrays"
_MAX_VERDICT_BYTES = 8 << 20
_LIBRARIES = (
    *(
        "numpy",
        "scikit-learn",
        "xgboost",
        "xgboost-cpu",
        "lightgbm",
        "onnxruntime",
        "llvmlite",
        "skl2onnx",
    ),
)


class Verdict(Struct, frozen=True):
    """What came of making an engine of a version.

    Args:
        made_with: The libraries that answered in the proof; others may answer otherwise.
        why: Why there is none; empty when there is one.
        signature: The model's, as its process told it.
        flavor: Likewise.
        warm_calls: Likewise.
        methods: Likewise; none where it did not say.
        example_why: Likewise.
        row_form: Likewise.
        files: The SHA-256 of each of the engine's files.
    """

    made_with: str
    why: str = ""
    signature: Signature | None = None
    flavor: str = ""
    warm_calls: int = 0
    methods: tuple[str, ...] | None = None
    example_why: str = ""
    row_form: RowForm | None = None
    files: dict[str, str] = {}


class Kept(Struct, frozen=True):
    """A verdict, and the engine if there is one."""

    verdict: Verdict
    engine: InWorker | None


class EngineStore:
    """Safe from any thread and process.

    Args:
        root: The folder; made when it is missing.
        onnx_tolerance: Returns within what a model's graph may answer; 0 for exactly.
    """

    def __init__(
        self, root: Path, onnx_tolerance: Callable[[str], float] = lambda _model: 0.0
    ) -> None:
        self.onnx_tolerance = onnx_tolerance
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def find(self, digest: str) -> Kept | None:
        """Return what is known of a version; ``None`` when it has to be tried, or tried again."""
        folder = self._folder(digest)
        try:
            path = folder / _VERDICT
            if path.stat().st_size > _MAX_VERDICT_BYTES:
                return None
            verdict = msgspec.json.decode(path.read_bytes(), type=Verdict)
            if verdict.made_with != made_with():
                return None
            if verdict.why:
                return Kept(verdict, None)
            if hash_files(folder / _FILES) != verdict.files:
                raise BadEngine("Its files have changed.")
            return Kept(verdict, read_engine(folder / _FILES))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _LOG.warning("the engine in %s is made anew: %s", folder.name, error)
            return None

    @contextmanager
    def claimed(self, digest: str, progress: Progress) -> Iterator[Path]:
        """Be the only one on this host that makes the engine of a version.

        Yields:
            An empty folder for the engine's files.

        Raises:
            LoadCancelled: The load was called off while somebody else had the claim.
        """
        with hold_lock(self._root / f"{self._folder(digest).name}.lock", progress):
            partial = self._partial(digest)
            shutil.rmtree(partial, ignore_errors=True)
            (partial / _FILES).mkdir(parents=True)
            try:
                yield partial / _FILES
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def keep(self, digest: str, ready: Ready) -> Kept:
        """Check what a model's process has left in the claimed folder, and keep the verdict."""
        partial = self._partial(digest)
        verdict = Verdict(
            made_with=made_with(),
            why=ready.engine_why,
            signature=ready.signature,
            flavor=ready.flavor,
            warm_calls=ready.warm_calls,
            methods=ready.methods,
            example_why=ready.example_why,
            row_form=ready.row_form,
        )
        if not verdict.why:
            verdict = self._judge(partial / _FILES, verdict)
        self._publish(digest, verdict)
        return self.find(digest) or Kept(verdict, None)

    def keep_failure(self, digest: str, why: str) -> Kept:
        """Keep that making an engine ended badly."""
        verdict = Verdict(made_with=made_with(), why=why)
        self._publish(digest, verdict)
        return Kept(verdict, None)

    def _judge(self, files: Path, verdict: Verdict) -> Verdict:
        try:
            read_engine(files)
            seal_files(files)
            return msgspec.structs.replace(verdict, files=hash_files(files))
        except (BadEngine, OSError) as error:
            why = f"What its process wrote is no engine: {error}"
            return msgspec.structs.replace(verdict, why=why)

    def _publish(self, digest: str, verdict: Verdict) -> None:
        partial, folder = self._partial(digest), self._folder(digest)
        if verdict.why:
            shutil.rmtree(partial / _FILES)
        (partial / _VERDICT).write_bytes(msgspec.json.encode(verdict))
        seal_file(partial / _VERDICT)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)

    def _folder(self, digest: str) -> Path:
        return self._root / f"{digest}-{FORMAT}"

    def _partial(self, digest: str) -> Path:
        return self._root / f".{digest}-{FORMAT}.partial"


def key_of(digest: str, tolerance: float) -> str:
    """Return under what a version's engine is kept: another tolerance makes another engine."""
    return f"{digest}-{tolerance!r}" if tolerance else digest


def made_with() -> str:
    """Name the libraries whose answers a proof compares, with their versions."""
    found = ((name, _version(name)) for name in _LIBRARIES)
    return ", ".join(f"{name} {version}" for name, version in found if version)


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
