"""Hostile models on a server whose other models are asked all the time, and notice nothing."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from sklearn.tree import DecisionTreeRegressor

from registry.signature import Signature, TensorSpec
from tests.chaos.scenario import Orders, Result
from tests.chaos.villains import (
    AT_CALL,
    AT_LOAD,
    CHILDREN,
    TRIGGER,
    Deed,
    Mine,
    Villain,
)
from tests.journeys.history import Answered, failures, false_answers
from tests.journeys.models import EXAMPLE, Marked, marked_answer, register
from tests.journeys.server import Server, descendants_of, kill_hard, running
from tests.journeys.traffic import Probe, Traffic

ENGINE, RUNNER = "Engine", "Runner"
PROBES = [[float(n), 1.0, 2.0] for n in range(50)]
LOAD_TIMEOUT_S = 25
SWITCH_TIMEOUT_S = 40
PREDICT_TIMEOUT_S = 4
MARGIN_S = 25.0
"""A busy machine may take so much longer to kill, and to tell."""
MODEL_BYTES = 768 << 20
MOST_GROWTH_BYTES = 96 << 20
MOST_DISK_BYTES = 24 << 20
GONE_WITHIN_S = 40.0
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "serving": {
        "load_timeout_s": LOAD_TIMEOUT_S,
        "predict_timeout_s": PREDICT_TIMEOUT_S,
        "rollback_window_s": 0.5,
        "warmup_requests": 2,
        "model_memory_bytes": MODEL_BYTES,
    },
    "registry": {"switch_timeout_s": SWITCH_TIMEOUT_S},
}
SIGNATURE = Signature(inputs=(TensorSpec("float64", (-1, 3)),), outputs=())
_REFUSED = frozenset({412})
_OK = 200


class Told(Struct, frozen=True):
    """What a caller of a hostile model was told.

    Args:
        deed: What the model did.
        status: The status of the answer; 0 when none came.
        body: The beginning of it.
        expected: The statuses that would be right.
        took_s: How long it took.
        most_s: How long it may take.
    """

    deed: str
    status: int
    body: str
    expected: frozenset[int]
    took_s: float
    most_s: float


class Seen(Struct, frozen=True):
    """All that was seen of a server among hostile models.

    Args:
        good: The history of calls of the good models, and what is wrong with it.
        health: Every answer of a probe that was not 200.
        told: What callers of the hostile ones were told.
        left: Processes that should be gone.
        grown_bytes: By how much the workers grew.
        disk_bytes: By how much what is on the disk grew, without artifacts.
        are_workers_the_same: Whether no worker was replaced.
    """

    good: Sequence[Answered]
    wrong: Sequence[str]
    health: Sequence[str]
    told: Sequence[Told]
    left: Sequence[str] = ()
    grown_bytes: int = 0
    disk_bytes: int = 0
    are_workers_the_same: bool = True


def run(orders: Orders) -> Result:
    """Let every hostile model do its deed ``loops`` times, one after the other."""
    with running(Server(orders.folder / "server", settings=SETTINGS)) as server:
        seen = watch(server, AT_LOAD, AT_CALL, rounds=orders.loops)
        left = [f"{pid} {what}" for pid, what in left_of_killed_workers(server).items()]
    return judge(replace(seen, left=[*seen.left, *left]))


def watch(
    server: Server, at_load: Mapping[str, str], at_call: Mapping[str, Deed], *, rounds: int = 1
) -> Seen:
    """Let hostile models do their deeds beside good ones, and tell what was seen."""
    table = bring_up_good(server)
    told: list[Told] = []
    health: list[str] = []
    with ExitStack() as around:
        streams = [around.enter_context(Traffic(server, m, PROBES, rate=40.0)) for m in table]
        for stream in streams:
            stream.wait_for(20)
        before, processes = memory_bytes(server), processes_of(server)
        workers, disk = server.worker_pids(), disk_bytes(server)
        around.enter_context(_probed(server, health))
        for number in range(rounds):
            told += _do_all(server, at_load, at_call, number)
        left = left_behind(server, processes)
        for stream in streams:
            stream.wait_for(20)
        after = _settled_bytes(server, before)
    kill_hard(pid for pid in left if _is_there(pid))
    return Seen(
        good=[row for stream in streams for row in stream.history],
        wrong=[
            fault
            for stream, expected in zip(streams, table.values(), strict=True)
            for fault in false_answers(stream.history, expected)
        ],
        health=health,
        told=told,
        left=[f"{pid} {what}" for pid, what in left.items()],
        grown_bytes=after - before,
        disk_bytes=disk_bytes(server) - disk,
        are_workers_the_same=server.worker_pids() == workers,
    )


def _do_all(
    server: Server, at_load: Mapping[str, str], at_call: Mapping[str, Deed], number: int
) -> Iterator[Told]:
    for name, code in at_load.items():
        yield load_villain(server, f"{name} at load {number}", code)
    for name, deed in at_call.items():
        yield from call_villain(server, f"{name} at call {number}", deed)


def judge(seen: Seen) -> Result:
    """Judge what was seen. Pure."""
    lost = failures(seen.good)
    faults = [
        *([] if seen.told else ["no model was hostile"]),
        *(f"a good model's call failed: {row}" for row in lost),
        *(f"a good model's answer is wrong: {fault}" for fault in seen.wrong),
        *(f"a probe was told {answer}" for answer in seen.health),
        *(f"{told.deed!r} was told {told.status}: {told.body}" for told in seen.told if _bad(told)),
        *(
            f"{told.deed!r} was told after {told.took_s:.1f} s"
            for told in seen.told
            if told.took_s > told.most_s
        ),
        *(f"a process is left: {process}" for process in seen.left),
    ]
    if seen.grown_bytes > MOST_GROWTH_BYTES:
        faults.append(f"the workers grew by {seen.grown_bytes >> 20:,} MiB")
    if seen.disk_bytes > MOST_DISK_BYTES:
        faults.append(f"{seen.disk_bytes >> 20:,} MiB more are on the disk")
    if not seen.are_workers_the_same:
        faults.append("a worker was replaced")
    times = sorted(row.ended_s - row.begun_s for row in seen.good) or [0.0]
    return Result(
        f"{len(seen.told)} answers of hostile models, {len(times):,} of good ones "
        f"(p50 {1000 * times[len(times) // 2]:.0f} ms, "
        f"p99 {1000 * times[len(times) * 99 // 100]:.0f} ms, longest {times[-1]:.1f} s), "
        f"workers + {seen.grown_bytes >> 20} MiB, disk + {seen.disk_bytes >> 10:,} KiB",
        faults,
    )


def _bad(told: Told) -> bool:
    return told.status not in told.expected or "Traceback" in told.body


# --- the models -----------------------------------------------------------------------------------


def bring_up_good(server: Server) -> dict[str, Callable[[int, Probe], float]]:
    """Bring a model with an engine and one in a process to Production; return their answers."""
    rows = np.array(PROBES)
    tree = DecisionTreeRegressor().fit(rows, rows[:, 0] * 3.0)
    answers = {tuple(row): float(tree.predict([row])[0]) for row in PROBES}
    assert register(server, ENGINE, tree, input_example=rows[:2]) == 1
    assert register(server, RUNNER, Marked(1)) == 1
    for model in (ENGINE, RUNNER):
        reply = server.promote(model, 1)
        assert reply.status == _OK, reply.body
    return {ENGINE: lambda _version, row: answers[tuple(row)], RUNNER: marked_answer}


def load_villain(server: Server, name: str, code: str) -> Told:
    """Try to promote a model that does its deed at load."""
    assert register(server, name, Mine(code), input_example=None, signature=SIGNATURE) == 1
    most_s = SWITCH_TIMEOUT_S + MARGIN_S
    return _timed(name, _REFUSED, most_s, lambda: _promote(server, name))


def call_villain(server: Server, name: str, deed: Deed) -> Iterator[Told]:
    """Promote a model, let it do its deed, ask it again, and take it out."""
    assert register(server, name, Villain(deed.code), input_example=EXAMPLE) == 1
    load_s = SWITCH_TIMEOUT_S + MARGIN_S
    fine = frozenset({_OK})
    yield _timed(f"{name}: promoting it", fine, load_s, lambda: _promote(server, name))
    headers = {"stagedoor_timeout_ms": str(deed.timeout_ms)} if deed.timeout_ms else {}
    row = [[TRIGGER, 1.0, 2.0]]
    most_s = (deed.timeout_ms / 1000 or PREDICT_TIMEOUT_S) + MARGIN_S
    yield _timed(name, deed.told, most_s, lambda: _predict(server, name, row, **headers))
    yield _timed(f"{name}: asked again", fine, GONE_WITHIN_S, lambda: _heal(server, name))
    taken_out = server.transition(name, 1, "Archived")
    assert taken_out.status == _OK, taken_out.body


def _promote(server: Server, name: str) -> tuple[int, str]:
    reply = server.promote(_quoted(name), 1)
    return reply.status, reply.body.decode(errors="replace")


def _predict(server: Server, name: str, rows: list[Probe], **headers: str) -> tuple[int, str]:
    reply = server.predict(_quoted(name), rows, **headers)
    return reply.status, reply.body[:200].decode(errors="replace")


def _heal(server: Server, name: str) -> tuple[int, str]:
    """Ask for a harmless row until it is answered, as a caller would who is told to come back."""
    ends_at = time.monotonic() + GONE_WITHIN_S
    told = _predict(server, name, PROBES[:1])
    while told[0] != _OK and time.monotonic() < ends_at:
        time.sleep(0.1)
        told = _predict(server, name, PROBES[:1])
    return told


def _timed(
    name: str, expected: frozenset[int], most_s: float, call: Callable[[], tuple[int, str]]
) -> Told:
    begun_s = time.monotonic()
    try:
        status, body = call()
    except OSError as error:
        status, body = 0, repr(error)
    return Told(name, status, body, expected, time.monotonic() - begun_s, most_s)


def _quoted(name: str) -> str:
    return name.replace(" ", "%20")


# --- what is left ---------------------------------------------------------------------------------


@contextmanager
def _probed(server: Server, refused: list[str]) -> Iterator[None]:
    """Ask for life and readiness again and again, and keep every answer that is not 200."""
    ending = threading.Event()

    def probe() -> None:
        while not ending.wait(0.2):
            for path in ("/health/live", "/health/ready"):
                try:
                    reply = server.get(path)
                except OSError as error:
                    refused.append(f"{path}: {error!r}")
                    continue
                if reply.status != _OK:
                    refused.append(f"{path}: {reply.status} {reply.body[:500]!r}")

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def processes_of(server: Server) -> dict[int, str]:
    """Return every process that has to do with a server, wherever it went, with what it runs."""
    named = os.fsencode(server.folder)
    found = dict.fromkeys((server.process.pid, *descendants_of(server.process.pid)), "")
    found.update(dict.fromkeys(_zombies_of(found), "zombie"))
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            if named in line or named in (folder / "environ").read_bytes():
                found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def left_behind(server: Server, before: Mapping[int, str]) -> dict[int, str]:
    """Return the processes that were not there before, once they have had time to go."""
    left: dict[int, str] = {}

    def are_gone() -> bool:
        left.clear()
        left.update({p: what for p, what in processes_of(server).items() if p not in before})
        return not left

    _eventually(are_gone)
    return left


def left_of_killed_workers(server: Server) -> dict[int, str]:
    """Kill all workers while a model has processes of its own; return what outlives them."""
    name = "Children of the killed"
    assert register(server, name, Villain(CHILDREN), input_example=EXAMPLE) == 1
    assert _promote(server, name)[0] == _OK
    row = [[TRIGGER, 1.0, 2.0]]
    server.ask_every_worker(lambda: server.predict(_quoted(name), row))
    before = processes_of(server).keys() - {server.process.pid}
    kill_hard(server.worker_pids())
    server.wait_until(server.is_ready, "ready")
    left: dict[int, str] = {}

    def are_gone() -> bool:
        left.clear()
        left.update({p: what for p, what in processes_of(server).items() if p in before})
        return not left

    _eventually(are_gone)
    return left


def memory_bytes(server: Server) -> int:
    """Return what the workers hold in memory themselves."""
    return sum(map(_resident_bytes, server.worker_pids()))


def _settled_bytes(server: Server, before: int) -> int:
    """Return the same once what an answer of many MB took has been given back, if it is."""
    _eventually(lambda: memory_bytes(server) - before < MOST_GROWTH_BYTES)
    return memory_bytes(server)


def disk_bytes(server: Server) -> int:
    """Return what the server has on the disk, but for artifacts and database."""
    kept = [server.folder / name for name in ("log", "cache/scratch", "run")]
    files = [f for path in kept for f in ([path] if path.is_file() else path.rglob("*"))]
    return sum(map(_size_bytes, files))


def _eventually(claim: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + GONE_WITHIN_S
    while not claim() and time.monotonic() < ends_at:
        time.sleep(0.2)


def _zombies_of(parents: Mapping[int, str]) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) in parents:
                yield int(folder.name)


def _resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
