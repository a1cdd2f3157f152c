"""The parent of the workers: binds, prepares the database, forks, restarts, and ends them.

It has one thread, loads no model and opens no database (a child prepares it), so that forking is
safe at any time. A worker that fails never stops the others; only where none of them ever came to
serve does the server end, so that whoever started it hears of it. ``serve`` is what the command
line calls; a worker goes on in ``gateway.app.run_worker``.
"""

import gc
import logging
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gateway import logs
from gateway.http_server import pre_stop_s
from gateway.listening import address_of, listen, reserved_for_grpc
from gateway.offspring import adopt, kill_all_but
from gateway.preparation import end_preparing, prepared_run_folder, start_preparing
from gateway.settings import Settings, metrics_folder
from gateway.worker import WorkerIdentity, sweep_dead
from gateway.worker_process import HEARTBEAT_S, Place, become_worker

Target = Callable[[Settings, socket.socket, WorkerIdentity], None]
"""What a worker runs until SIGTERM; it may end by ``SystemExit``."""

STABLE_AFTER_S = 10.0
MAX_RESTART_DELAY_S = 30.0
MOST_FIRST_TRIES = 4
_KILL_MARGIN_S = 5.0
_SWEEP_S = 10.0
_MAX_OPEN_FILES = 65_536
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger("stagedoor.supervisor")


class Slot(Struct):
    """One place for a worker; it stays when the worker in it is replaced.

    Args:
        index: The worker's index.
        pid: Its process; 0 while there is none.
        beats: The pipe on which it tells that it runs; -1 while there is none.
        started_at: When it was forked, on the monotonic clock.
        beat_at: When it was last heard of.
        crashes: How many workers in a row ended before they were stable.
        failures: How many of these in a row were not killed, but ended by themselves.
        restart_at: When to fork the next, while there is none.
    """

    index: int
    pid: int = 0
    beats: int = -1
    started_at: float = 0.0
    beat_at: float = 0.0
    crashes: int = 0
    failures: int = 0
    restart_at: float = 0.0


def serve(settings: Settings, *, target: Target | None = None) -> int:
    """Run the server until it is told to end, and return the exit code.

    Args:
        settings: The server's.
        target: What each worker runs; ``gateway.app.run_worker`` when not given.

    Raises:
        InvalidRequest: The address may not, or cannot, be listened on.
    """
    logs.configure(settings.server.log_level)
    with (
        listen(settings) as listening,
        reserved_for_grpc(settings),
        prepared_run_folder(settings) as run_dir,
    ):
        preparing = start_preparing(settings)
        target = target or _app_target()
        if code := end_preparing(preparing):
            return code
        _allow_open_files()
        gc.freeze()
        _LOG.info("listening on %s with %d workers", address_of(listening), settings.server.workers)
        return Supervisor(settings, listening, target, run_dir).run()


class Supervisor:
    """Keeps one worker in each slot until it is told to stop. One thread, the main one."""

    def __init__(
        self, settings: Settings, listening: socket.socket, target: Target, run_dir: Path
    ) -> None:
        self._settings = settings
        self._listening = listening
        self._target = target
        self._run_dir = run_dir
        self._slots = [Slot(index) for index in range(settings.server.workers)]
        self._signals: list[int] = []
        self._kill_at: float | None = None
        self._exit_code = 0
        self._sweep_until = 0.0
        self._was_stable = False

    def run(self) -> int:
        """Fork the workers and look after them; return 0 if all ended as they were told to."""
        adopt()
        with _signals_into(self._signals) as wakeup:
            while not self._is_done():
                self._start_due()
                self._wait(wakeup)
                self._obey_signals()
                self._reap()
                self._give_up_if_hopeless()
                self._kill_overdue()
        _end_strays()
        return self._exit_code

    def _is_done(self) -> bool:
        return self._kill_at is not None and not any(slot.pid for slot in self._slots)

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if self._kill_at is None and not slot.pid and slot.restart_at <= now:
                self._fork(slot)

    def _work(self, identity: WorkerIdentity) -> None:
        self._target(self._settings, self._listening, identity)

    def _wait(self, wakeup: socket.socket) -> None:
        pipes = [slot.beats for slot in self._slots if slot.pid]
        waiting = [slot.restart_at for slot in self._slots if not slot.pid]
        timeout_s = HEARTBEAT_S if self._kill_at is not None else _next_look_s(waiting)
        ready, _, _ = select.select([wakeup.fileno(), *pipes], [], [], timeout_s)
        if wakeup.fileno() in ready:
            _drain(wakeup.fileno())
        for slot in self._slots:
            if slot.beats in ready and _drain(slot.beats):
                slot.beat_at = time.monotonic()

    def _obey_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in _STOPPING and self._kill_at is None:
                _LOG.info("told to end; waiting for %d workers", self._running())
                grace_s = pre_stop_s(self._settings) + self._settings.serving.drain_timeout_s
                self._kill_at = time.monotonic() + grace_s + _KILL_MARGIN_S
                self._listening.close()  # whoever connects once the workers stopped is refused
                self._send(signal.SIGTERM)
            elif number in _STOPPING and self._running():
                _LOG.warning(
                    "told to end again; killing %d workers with the requests they have",
                    self._running(),
                )
                self._kill_all()

    def _running(self) -> int:
        return sum(1 for slot in self._slots if slot.pid)

    def _send(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)

    def _kill_all(self) -> None:
        for slot in self._slots:
            if slot.pid:
                _kill_group(slot.pid)

    def _reap(self) -> None:
        if time.monotonic() < self._sweep_until:
            kill_all_but([slot.pid for slot in self._slots])
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for slot in self._slots:
                if slot.pid == pid:
                    self._bury(slot, os.waitstatus_to_exitcode(status))

    def _bury(self, slot: Slot, code: int) -> None:
        now = time.monotonic()
        pid = slot.pid
        _kill_group(pid)
        # Its models end with it; what they started in sessions of its own comes to us.
        self._sweep_until = now + _SWEEP_S
        os.close(slot.beats)
        is_stable = now - slot.started_at >= STABLE_AFTER_S
        self._was_stable |= is_stable
        slot.crashes = 0 if is_stable else slot.crashes + 1
        slot.failures = 0 if is_stable or code < 0 else slot.failures + 1
        slot.restart_at = now + restart_delay_s(slot.crashes)
        slot.pid, slot.beats = 0, -1
        sweep_dead(self._run_dir)
        _fold_metrics(pid)
        if self._kill_at is None:
            delay_s = slot.restart_at - now
            _LOG.error("worker %d ended with %d; next in %.1f s", slot.index, code, delay_s)
        elif code:
            self._exit_code = 1
            _LOG.error("worker %d ended with %d instead of draining", slot.index, code)

    def _give_up_if_hopeless(self) -> None:
        """End a server of which no worker can start; one that has served goes on trying."""
        failures = [0 if slot.pid else slot.failures for slot in self._slots]
        if self._kill_at is None and not self._was_stable and is_hopeless(failures):
            _LOG.error(
                "no worker can start, in %d tries each, for the reason above; the server ends",
                MOST_FIRST_TRIES,
            )
            self._exit_code = 1
            self._kill_at = 0.0

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        limit_s = self._settings.server.worker_hang_timeout_s
        for slot in self._slots:
            is_hung = now - slot.beat_at > limit_s
            is_late = self._kill_at is not None and now >= self._kill_at
            if slot.pid and (is_hung or is_late):
                _LOG.error("worker %d does not %s; killed", slot.index, "end" if is_late else "run")
                _kill_group(slot.pid)

    def _fork(self, slot: Slot) -> None:
        beats, write_end = os.pipe()
        os.set_blocking(beats, False)
        os.set_blocking(write_end, False)
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            pid = os.fork()
            if not pid:
                os.close(beats)
                inherited = [other.beats for other in self._slots if other.pid]
                place = Place(self._run_dir, slot.index, write_end, parent)
                become_worker(place, inherited, self._work)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        os.close(write_end)
        with suppress(OSError):
            os.setpgid(pid, pid)  # the worker does it too; whoever comes first
        slot.pid, slot.beats = pid, beats
        slot.started_at = slot.beat_at = time.monotonic()


def restart_delay_s(crashes: int) -> float:
    """Decide how long a slot stays empty after ``crashes`` workers in a row were not stable."""
    return 0.0 if crashes <= 1 else min(0.5 * 2.0 ** (crashes - 2), MAX_RESTART_DELAY_S)


def is_hopeless(failures: Sequence[int]) -> bool:
    """Decide whether to try no more, by how many workers in a row failed in each slot."""
    return min(failures) >= MOST_FIRST_TRIES


def _app_target() -> Target:
    """Import what a worker runs, without looking for garbage meanwhile: there is none."""
    gc.disable()
    try:
        from gateway.app import run_worker  # noqa: PLC0415 - after the metrics folder is set
    finally:
        gc.enable()
    return run_worker


def _end_strays() -> None:
    """End what the last workers left."""
    while kill_all_but(()):
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _next_look_s(restarts_at: list[float]) -> float:
    now = time.monotonic()
    return max(0.0, min([HEARTBEAT_S, *(at - now for at in restarts_at)]))


def _drain(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except BlockingIOError:
        return b""


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _fold_metrics(pid: int) -> None:
    from gateway.metrics import fold  # noqa: PLC0415 - after the metrics folder is set

    if folder := metrics_folder():
        fold(folder, pid)


def _allow_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _signals_into(received: list[int]) -> Iterator[socket.socket]:
    """Append each signal to ``received``, and make the yielded socket readable when one comes."""
    wakeup, signalled = socket.socketpair()
    wakeup.settimeout(0.0)
    signalled.settimeout(0.0)
    numbers = (*_STOPPING, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    before_fd = signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
    try:
        for number in numbers:
            signal.signal(number, lambda number, _frame: received.append(number))
        yield wakeup
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        wakeup.close()
        signalled.close()
