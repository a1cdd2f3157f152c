"""Starting a runner's process, waiting until it is ready, and ending it: blocking, off the loop.

The process gets a socket, a lifeline (a pipe that the kernel closes with this worker, see
``confinement``) and a folder: no environment of ours, no other descriptor. Next hop: ``runner``.
"""

import logging
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import assert_never

import msgspec
from msgspec import Struct

from gateway.offspring import OFFSPRING
from gateway.serving import messages
from gateway.serving.ending import OUTSIDE_SIGNALS, describe_end
from gateway.serving.failure import ConversionFailed, LoadFailed
from gateway.serving.frames import Assembler, Frame, FrameError
from gateway.serving.output import Output
from gateway.serving.pacing import QueueLimits
from gateway.serving.progress import Progress
from gateway.serving.states import State

_LOG = logging.getLogger("stagedoor.serving")
_LOGGED_CHARACTERS = 4000
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from gateway.serving.runner_process import main; sys.exit(main(sys.argv[2:]))"
)
_Process = subprocess.Popen[bytes]
_ROOT = str(Path(__file__).resolve().parents[2])
_ROOMS = ("gateway", "registry", "tracking")
_PIECE_BYTES = 1 << 18
_CHECK_EVERY_S = 0.1
_FOREVER_S = 3600.0
_LAST_BREATH_S = 1.0
"""How long a process that has closed its channel may take to end by itself."""


class RunnerLimits(Struct, frozen=True):
    """What one runner may take.

    Args:
        load_timeout_s: From start to READY.
        predict_timeout_s: For one call of the model; then its process is killed.
        max_batch_rows: Cap on the rows that go in one call.
        queue: How those who wait for it are held.
        warm_calls: How often the input example is answered before READY.
        max_frame_bytes: The largest body of a call.
        max_answer_bytes: The largest body of an answer; the worker writes it as JSON.
        memory_bytes: What the process may have for data; 0 for as much as there is.
        convert_timeout_s: For making an engine of a model that is loaded; then it has none.
        threads: For the numeric libraries in the process.
        merge_of, merge: Whether requests share calls, if an operator says so: by model; here.
    """

    load_timeout_s: float = 60.0
    predict_timeout_s: float = 30.0
    max_batch_rows: int = 1024
    queue: QueueLimits = QueueLimits()
    warm_calls: int = 20
    max_frame_bytes: int = 256 << 20
    max_answer_bytes: int = 64 << 20
    memory_bytes: int = 0
    convert_timeout_s: float = 30.0
    threads: int = 1
    merge_of: Mapping[str, bool] = {}
    merge: bool | None = None


class Ground(Struct, frozen=True):
    """Where a runner's process is started.

    Args:
        scratch_root: Where it gets its working folder.
        python: The interpreter of an environment of its own; none is the server's.
        claim: A descriptor that it keeps open, so that nobody removes that environment.
        onnx_tolerance: Within which an engine made of the model may answer; 0 for exactly.
    """

    scratch_root: Path
    python: Path | None = None
    claim: int | None = None
    onnx_tolerance: float = 0.0


class Child:
    """A runner's process and what hangs on it. Safe from any thread, but for its socket.

    Args:
        process: Leader of a process group of its own.
        end: Our end of the socket.
        lifeline: Our end of the pipe that keeps it alive.
        output: What it prints.
        scratch: Its working folder.

    Attributes:
        alarm: A descriptor that is readable once the process has ended.
    """

    def __init__(
        self,
        process: _Process,
        *,
        end: socket.socket,
        lifeline: int,
        output: Output,
        scratch: Path,
    ) -> None:
        self.process = process
        self.end = end
        self.output = output
        self.alarm = os.pidfd_open(process.pid)
        self._lifeline = lifeline
        self._reaping = threading.Lock()
        self._scratch = scratch

    def kill(self) -> None:
        """End the process, if it has not ended, and its group."""
        with self._reaping, suppress(ProcessLookupError):
            # While it was not waited for, its number is nobody else's, also when it has ended.
            if self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def ends_within(self, timeout_s: float = _LAST_BREATH_S) -> bool:
        """Wait for the process to end by itself; say whether it did. It is not waited for."""
        with self._reaping:
            if self.process.returncode is not None:
                return True
            alarm = os.dup(self.alarm)
        try:
            poll = select.poll()
            poll.register(alarm, select.POLLIN)
            return bool(poll.poll(timeout_s * 1000))
        finally:
            os.close(alarm)

    def reap(self) -> int:
        """Wait for the end of the process; return its code, or the negative signal.

        All that it started has ended then, too.
        """
        self.ends_within(_FOREVER_S)
        with self._reaping:
            code = self.process.wait()
            if self._lifeline >= 0:
                os.close(self._lifeline)
                self._lifeline = -1
                os.close(self.alarm)
                OFFSPRING.release(self.process.pid)
                shutil.rmtree(self._scratch, ignore_errors=True)
        return code

    def end_now(self) -> int:
        """Kill the process and wait for its end."""
        self.kill()
        return self.reap()


def log_last_words(child: Child, name: str) -> None:
    """Leave an operator the last that a process printed, which failed."""
    if words := child.output.tail()[-_LOGGED_CHARACTERS:].strip():
        _LOG.warning("the process of %s last printed:\n%s", name, words)


def launch(
    folder: Path, limits: RunnerLimits, ground: Ground, *, engine_folder: Path | None = None
) -> Child:
    """Start the process of a runner; it begins to load the folder at once.

    Args:
        folder: The model's.
        limits: What it may take.
        ground: Where it is started.
        engine_folder: Where it leaves an engine made of the model; none when none is wanted.

    Raises:
        LoadFailed: The host has no process, descriptor or space left for it.
    """
    try:
        return _launch(folder, limits, ground, engine_folder)
    except OSError as error:
        reason = f"No process could be started for the model: {error.strerror}."
        raise LoadFailed(reason, is_transient=True) from error


def await_ready(child: Child, limits: RunnerLimits, progress: Progress) -> messages.Ready:
    """Wait until the model is loaded and proved.

    Raises:
        ConversionFailed: It was, and the process ended, or took too long, over making an engine.
        LoadFailed: It cannot be loaded, it took too long, or its process ended.
        LoadCancelled: The load was called off.
    """
    wait = _Wait(limits)
    try:
        return _await_ready(child, wait, progress)
    except LoadFailed as error:
        if not wait.is_converting:
            raise
        raise ConversionFailed(error.reason, is_transient=error.is_transient) from error


class _Wait:
    """How long a load may take, and whether it has come to its last part."""

    def __init__(self, limits: RunnerLimits) -> None:
        self._convert_timeout_s = limits.convert_timeout_s
        self.timeout_s = limits.load_timeout_s
        self.deadline_s = time.monotonic() + limits.load_timeout_s
        self.is_converting = False
        self.assembler = Assembler(0)

    def convert(self) -> None:
        self.is_converting = True
        self.timeout_s = self._convert_timeout_s
        self.deadline_s = time.monotonic() + self._convert_timeout_s


def _await_ready(child: Child, wait: _Wait, progress: Progress) -> messages.Ready:
    with selectors.DefaultSelector() as selector:
        selector.register(child.end, selectors.EVENT_READ)
        selector.register(child.output.descriptor, selectors.EVENT_READ)
        while time.monotonic() < wait.deadline_s:
            progress.check()
            for key, _ in selector.select(_CHECK_EVERY_S):
                if key.fileobj is not child.end:
                    _read_output(child, selector)
                elif ready := _hear(child, wait, progress):
                    return ready
            if child.ends_within(0.0):
                # What it started may hold its socket open. The socket may hold its last words.
                return _hear_the_last(child, wait, progress)
    reason = f"The model was not ready after {wait.timeout_s:g} s; its process was killed."
    raise LoadFailed(reason, is_transient=True)


def _launch(
    folder: Path, limits: RunnerLimits, ground: Ground, engine_folder: Path | None
) -> Child:
    with ExitStack() as ours, ExitStack() as theirs:
        scratch = Path(tempfile.mkdtemp(prefix="runner-", dir=ground.scratch_root))
        ours.callback(shutil.rmtree, scratch, ignore_errors=True)
        end, channel = socket.socketpair()
        ours.callback(end.close)
        theirs.callback(channel.close)
        life_read, life_write = _pipe(theirs, ours)
        output_read, output_write = _pipe(ours, theirs)
        order = messages.Order(
            channel=channel.fileno(),
            lifeline=life_read,
            folder=str(folder.resolve()),
            warm_calls=limits.warm_calls,
            max_frame_bytes=limits.max_frame_bytes,
            max_answer_bytes=limits.max_answer_bytes,
            memory_bytes=limits.memory_bytes,
            engine_folder=None if engine_folder is None else str(engine_folder.resolve()),
            onnx_tolerance=ground.onnx_tolerance,
            merge=limits.merge,
        )
        environment = _environment(scratch, limits.threads)
        process = OFFSPRING.start(partial(_spawn, order, output_write, ground, environment))
        ours.pop_all()
        output = Output(output_read)
        return Child(process, end=end, lifeline=life_write, output=output, scratch=scratch)


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe, and leave its ends to whoever closes them."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _spawn(
    order: messages.Order, output: int, ground: Ground, environment: dict[str, str]
) -> _Process:
    python, root = sys.executable, _ROOT
    if ground.python is not None:
        python, root = str(ground.python), _link_rooms(Path(environment["HOME"]))
    claims = () if ground.claim is None else (ground.claim,)
    return subprocess.Popen(
        [python, "-P", "-s", "-c", _BOOT, root, msgspec.json.encode(order).decode()],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(order.channel, order.lifeline, *claims),
        cwd=environment["HOME"],
        env=environment,
        start_new_session=True,
    )


def _link_rooms(scratch: Path) -> str:
    """Return a folder with our own code and nothing beside it: no package of the server's."""
    rooms = scratch / "rooms"
    rooms.mkdir()
    for room in _ROOMS:
        (rooms / room).symlink_to(Path(_ROOT, room))
    return str(rooms)


def _environment(scratch: Path, threads: int) -> dict[str, str]:
    """Return all that the process finds in its environment: nothing of ours, so no secret."""
    count = str(threads)
    return {
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        # The cache's folder must stay as it was registered, also where root may write into it.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
    }


def _read_output(child: Child, selector: selectors.BaseSelector) -> None:
    if not child.output.read():
        selector.unregister(child.output.descriptor)


def _hear(child: Child, wait: _Wait, progress: Progress) -> messages.Ready | None:
    try:
        piece = child.end.recv(_PIECE_BYTES)
    except ConnectionError:
        piece = b""
    if not piece:
        raise _explain_end(child)
    try:
        for frame in wait.assembler.feed(piece):
            if ready := _understand(frame, wait, progress):
                return ready
    except FrameError as error:
        reason = "The model's process sent something that is no message; it was killed."
        raise LoadFailed(reason, is_transient=False) from error
    return None


def _understand(frame: Frame, wait: _Wait, progress: Progress) -> messages.Ready | None:
    match messages.decode_from_runner(frame):
        case messages.Ready() as ready:
            return ready
        case messages.Refused(reason=reason, is_transient=is_transient):
            raise LoadFailed(messages.tidy(reason), is_transient=is_transient)
        case messages.Phase(state=state) if state in (State.WARMING, State.TESTING):
            progress.enter(State(state))
            return None
        case messages.Converting():
            wait.convert()
            return None
        case (
            messages.Phase()
            | messages.Answer()
            | messages.Failed()
            | messages.Piece()
            | messages.Done()
        ):
            raise FrameError("Not a message of a load.")
        case other:
            assert_never(other)


def _hear_the_last(child: Child, wait: _Wait, progress: Progress) -> messages.Ready:
    """Hear what a process said before it ended."""
    child.end.setblocking(False)  # noqa: FBT003  the standard library's signature
    with suppress(BlockingIOError):
        while True:
            _hear(child, wait, progress)
    raise _explain_end(child)


def _explain_end(child: Child) -> LoadFailed:
    if not child.ends_within():
        child.end_now()
        reason = "The model's process closed its channel while it was loaded, and was killed."
        return LoadFailed(reason, is_transient=False)
    code = child.end_now()
    is_transient = code < 0 and -code in OUTSIDE_SIGNALS
    hint = " (for lack of memory?)" if code == -signal.SIGKILL else ""
    reason = f"The model's process {describe_end(code)} while it was loaded{hint}."
    return LoadFailed(reason, is_transient=is_transient)
