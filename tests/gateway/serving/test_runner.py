import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from gateway import logs
from gateway.serving.admission import Bounds
from gateway.serving.batching import Merged
from gateway.serving.failure import LoadCancelled, LoadFailed
from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.pacing import QueueLimits
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner, start_runner
from gateway.serving.states import State
from gateway.serving.trace_log import AT_ONCE
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, Prediction
from tests.gateway.serving import specimens as sp
from tracking.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelFailed,
    ModelNotReady,
    StagedoorError,
    TooLarge,
    Unavailable,
)

KEY = VersionKey("iris", 3, "0" * 64)
LIMITS = RunnerLimits(load_timeout_s=30.0, predict_timeout_s=20.0, warm_calls=2)
EXAMPLE = np.array([[sp.DOUBLE, 1.0]])


def start(
    tmp_path: Path, folder: Path, *, limits: RunnerLimits = LIMITS, progress: Progress | None = None
) -> Runner:
    return start_runner(
        KEY, folder, limits=limits, ground=Ground(tmp_path), progress=progress or Progress()
    )


@asynccontextmanager
async def serving(
    tmp_path: Path, model: object, *, limits: RunnerLimits = LIMITS
) -> AsyncIterator[tuple[Runner, list[str]]]:
    """Start a runner on this loop; the list gets the reason should it die."""
    folder = sp.save(tmp_path / "model", model, example=EXAMPLE)
    runner = await asyncio.to_thread(start, tmp_path, folder, limits=limits)
    deaths: list[str] = []
    await runner.attach(deaths.append)
    try:
        yield runner, deaths
    finally:
        await asyncio.to_thread(runner.close)


async def ask(runner: Runner, *rows: tuple[float, ...]) -> Prediction:
    return await runner.predict(sp.matrix(*rows), {})


async def ask_as(name: str, runner: Runner, row: tuple[float, ...]) -> Prediction:
    logs.request_id.set(name)
    return await ask(runner, row)


async def ask_all(runner: Runner, *rows: tuple[float, ...]) -> list[Any]:
    """Ask one row each, all at once, each as request ``r-<its place>``; errors are answers."""
    asked = (ask_as(f"r-{at}", runner, row) for at, row in enumerate(rows))
    return [
        one if isinstance(one, BaseException) else one.arrays[0].tolist()
        for one in await asyncio.gather(*asked, return_exceptions=True)
    ]


def codes(answers: list[Any]) -> list[Any]:
    return [one.code if isinstance(one, StagedoorError) else one for one in answers]


# --- loading --------------------------------------------------------------------------------------

BROKEN = {
    "segfault": (
        sp.Bomb("import os; os.kill(os.getpid(), 11)"),
        "The model's process was killed by SIGSEGV while it was loaded.",
        False,
    ),
    "killed": (
        sp.Bomb("import os; os.kill(os.getpid(), 9)"),
        "was killed by SIGKILL while it was loaded (for lack of memory?).",
        True,
    ),
    "exit": (
        sp.Bomb("import os; os._exit(3)"),
        "The model's process ended with exit code 3 while it was loaded.",
        False,
    ),
    "polite exit": (
        sp.Bomb("import sys; sys.exit(0)"),
        "The model ended its process while it was loaded (SystemExit).",
        False,
    ),
    "import error": (sp.Bomb("import no_such_module"), "no_such_module", False),
    "out of memory": (
        sp.Bomb("raise MemoryError"),
        "There was not enough memory to load the model.",
        True,
    ),
    "no space": (sp.Bomb("raise OSError(28, 'No space left on device')"), "No space left", True),
    "lies on the socket": (
        sp.Bomb(
            "import os, stat\n"
            "for fd in range(3, 4096):\n"
            "    try:\n"
            "        if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b'\\xff' * 64)\n"
            "    except OSError: pass\n"
            "import time; time.sleep(60)"
        ),
        "sent something that is no message",
        False,
    ),
    "closes its socket": (
        sp.Bomb("import os, time; os.closerange(3, 4096); time.sleep(600)"),
        "The model's process closed its channel while it was loaded, and was killed.",
        False,
    ),
    "leaves a child with the socket": (
        sp.Bomb("import ctypes, os, time; ctypes.CDLL(None).fork() or time.sleep(9); os._exit(3)"),
        "The model's process ended with exit code 3 while it was loaded.",
        False,
    ),
    "flood, then exit": (
        sp.Bomb("import os\nfor _ in range(30000): print('x' * 100)\nos._exit(1)"),
        "ended with exit code 1",
        False,
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_a_failed_load_with_its_reason(tmp_path: Path, kind: str) -> None:
    model, reason, is_transient = BROKEN[kind]
    folder = sp.save(tmp_path / "model", model)

    with pytest.raises(LoadFailed) as failed:
        start(tmp_path, folder)

    assert reason in failed.value.reason
    assert failed.value.is_transient is is_transient
    assert "\n" not in failed.value.reason


def test_a_hanging_model_fails_when_its_time_is_over(tmp_path: Path) -> None:
    folder = sp.save(tmp_path / "model", sp.Bomb("while True: pass"))

    with pytest.raises(LoadFailed) as failed:
        start(tmp_path, folder, limits=RunnerLimits(load_timeout_s=0.7))

    assert failed.value.reason == "The model was not ready after 0.7 s; its process was killed."
    assert failed.value.is_transient


def test_a_load_that_nothing_asks_for_any_more_is_called_off(tmp_path: Path) -> None:
    folder = sp.save(tmp_path / "model", sp.Bomb("while True: pass"))
    progress = Progress()
    timer = threading.Timer(0.2, progress.cancel)
    timer.start()

    with pytest.raises(LoadCancelled):
        start(tmp_path, folder, progress=progress)

    timer.join()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "model.pkl").unlink(), "'model.pkl' that MLmodel names is miss"),
        (lambda folder: (folder / "MLmodel").unlink(), "There is no MLmodel file"),
        (lambda folder: (folder / "MLmodel").write_text("flavors: ["), "MLmodel file cannot be"),
        (lambda folder: os.truncate(folder / "model.pkl", 40), "'model.pkl' cannot be loaded"),
        (lambda folder: (folder / "input_example.json").write_text("7"), "input example"),
    ],
)
def test_a_damaged_folder_is_a_failed_load_that_names_the_file(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    folder = sp.save(tmp_path / "model", sp.Obedient(), example=EXAMPLE)
    damage(folder)

    with pytest.raises(LoadFailed) as failed:
        start(tmp_path, folder)

    assert reason in failed.value.reason
    assert not failed.value.is_transient


@pytest.mark.parametrize("command", [sp.RAISE, sp.CRASH, sp.EXIT])
def test_a_model_that_fails_on_its_own_example_is_a_failed_load(
    tmp_path: Path, command: float
) -> None:
    rows = np.array([[command, 1.0], [command, 2.0]])
    folder = sp.save(tmp_path / "model", sp.Obedient(), example=rows)

    with pytest.raises(LoadFailed) as failed:
        start(tmp_path, folder)

    assert not failed.value.is_transient


def test_a_signature_of_other_outputs_is_a_failed_load(tmp_path: Path) -> None:
    signature = Signature(
        inputs=(TensorSpec("float64", (-1, 2)),), outputs=(ColumnSpec("string", "species"),)
    )
    folder = sp.save(tmp_path / "model", sp.Obedient(), example=EXAMPLE, signature=signature)

    with pytest.raises(LoadFailed) as failed:
        start(tmp_path, folder)

    assert failed.value.reason == (
        "The answer to the input example holds number; the signature promises text."
    )


def test_a_failed_load_leaves_no_process_descriptor_or_folder(tmp_path: Path) -> None:
    folder = sp.save(tmp_path / "model", sp.Bomb("import os; os._exit(3)"))
    before = sp.descriptors()

    for _ in range(5):
        with pytest.raises(LoadFailed):
            start(tmp_path, folder)

    assert sp.descriptors() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_load_passes_through_its_states_and_says_what_it_found(tmp_path: Path) -> None:
    signature = Signature(inputs=(TensorSpec("float64", (-1, 2)),))
    folder = sp.save(tmp_path / "model", sp.Obedient(), example=EXAMPLE, signature=signature)
    states: list[State] = []

    runner = start(tmp_path, folder, progress=Progress(states.append))

    runner.close()
    assert states == [State.LOADING, State.WARMING, State.TESTING]
    assert (runner.signature, runner.flavor, runner.warm_calls) == (signature, "sklearn", 2)


def test_a_model_sees_nothing_of_its_workers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEDOOR_SECRET", "hunter2")
    code = "import os; assert 'STAGEDOOR_SECRET' not in os.environ, 'leaked'; os._exit(42)"
    folder = sp.save(tmp_path / "model", sp.Bomb(code))

    with pytest.raises(LoadFailed, match="exit code 42"):
        start(tmp_path, folder)


# --- answering ------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_runner_answers_each_request_with_its_own_rows(
    tmp_path: Path, run: Callable[[Coroutine[Any, Any, list[Any]]], list[Any]]
) -> None:
    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            return await ask_all(runner, *((sp.DOUBLE, float(x)) for x in range(200)))

    answers = run(main())

    assert answers == [[2.0 * x] for x in range(200)]


def traces(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if "trace" in vars(record)]


def test_only_the_bad_rows_of_a_batch_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of them is logged while the process lives, as long as there are few, and none of it."""

    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient()) as (runner, deaths):
            rows = [(sp.RAISE if x % 7 == 3 else sp.DOUBLE, float(x)) for x in range(40)]
            answers = await ask_all(runner, *rows)
            assert deaths == []
            assert len(traces(caplog)) >= AT_ONCE
            return answers

    answers = asyncio.run(main())

    assert codes(answers) == ["MODEL_FAILED" if x % 7 == 3 else [2.0 * x] for x in range(40)]
    told = traces(caplog)
    assert {one["request_id"] for one in told} <= {f"r-{x}" for x in range(3, 40, 7)}
    assert {(one["model"], one["version"], one["levelname"]) for one in told} == {
        ("iris", 3, "ERROR")
    }
    assert all(one["trace"].endswith("ValueError") for one in told)
    assert all("in _raise" in one["trace"] for one in told)
    assert "4711" not in f"{answers} {told} {caplog.text}"


def test_an_answer_with_too_few_rows_fails_its_request_only(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            good = asyncio.create_task(ask_all(runner, *[(sp.DOUBLE, 1.0)] * 5))
            with pytest.raises(ModelFailed):
                await ask(runner, (sp.ONE_ROW, 1.0), (sp.ONE_ROW, 2.0))
            return await good

    assert asyncio.run(main()) == [[2.0]] * 5


def test_rows_that_depend_on_each_other_are_never_mixed_with_those_of_others(
    tmp_path: Path,
) -> None:
    async def main() -> tuple[Merged, list[Any]]:
        async with serving(tmp_path, sp.Centred()) as (runner, _):
            asked = (ask(runner, (at, 0.0), (at + 2.0, 0.0)) for at in (1.0, 10.0, 100.0, 7.0))
            told = [one.arrays[0].tolist() for one in await asyncio.gather(*asked)]
            return runner.merging.which, told

    assert asyncio.run(main()) == (Merged.NEVER, [[-1.0, 1.0]] * 4)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (sp.CRASH, "The model's process was killed by SIGSEGV."),
        (sp.EXIT, "The model's process ended with exit code 3."),
    ],
)
def test_a_lone_request_that_kills_the_process_fails_and_the_owner_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, command: float, reason: str
) -> None:
    async def main() -> list[str]:
        async with serving(tmp_path, sp.Obedient()) as (runner, deaths):
            with pytest.raises(ModelFailed, match="'iris' version 3 died while it answered"):
                await ask_as("r-9", runner, (command, 0.0))
            with pytest.raises(ModelNotReady):
                await ask(runner, (sp.DOUBLE, 0.0))
            await sp.eventually(lambda: bool(deaths))
            return deaths

    assert asyncio.run(main()) == [reason]
    (told,) = (vars(record) for record in caplog.records if "request_id" in vars(record))
    assert (told["request_id"], told["model"], told["version"]) == ("r-9", "iris", 3)


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    """It holds the socket open: its end is known all the same."""

    async def main() -> tuple[list[str], list[int]]:
        async with serving(tmp_path, sp.Obedient()) as (runner, deaths):
            group = runner.pid
            with pytest.raises(ModelFailed):
                await ask(runner, (sp.LEAVE_CHILD, 0.0))
            await sp.eventually(lambda: bool(deaths))
            await sp.eventually(lambda: not group_of(group), within_s=5.0)
            return deaths, group_of(group)

    assert asyncio.run(main()) == (["The model's process ended with exit code 3."], [])


def group_of(leader: int) -> list[int]:
    """Return the living processes of a group."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = file.read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX" and int(group) == leader:
                found.append(int(file.parent.name))
    return found


def test_an_answer_or_a_memory_too_large_is_refused_by_itself(tmp_path: Path) -> None:
    """The process goes on after an answer, and is replaced when it was refused memory."""
    limits = RunnerLimits(warm_calls=1, max_answer_bytes=4000, memory_bytes=1 << 30)

    async def main() -> tuple[list[Any], list[str]]:
        async with serving(tmp_path, sp.Obedient(), limits=limits) as (runner, deaths):
            rows = [(sp.WIDE, 0.0)], [(sp.DOUBLE, 1.0)], [(sp.LEAK, 0.0)]
            answers = [(await ask_all(runner, *one))[0] for one in rows]
            await sp.eventually(lambda: bool(deaths))
            return answers, deaths

    (wide, double, leak), deaths = asyncio.run(main())

    assert "A body of 8000 bytes is over 4000" in str(wide)
    assert double == [2.0]
    assert "MemoryError" in str(leak)
    assert deaths == ["The model's process ended with exit code 1."]


def test_a_lone_request_whose_process_somebody_kills_is_told_to_come_again(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient()) as (runner, deaths):
            slow = asyncio.create_task(ask_all(runner, (sp.SLOW, 1.0)))
            await asyncio.sleep(0)
            os.kill(runner.pid, signal.SIGKILL)
            answers = await slow
            await sp.eventually(lambda: bool(deaths))
            return [*codes(answers), *deaths]

    assert asyncio.run(main()) == ["MODEL_NOT_READY", "The model's process was killed by SIGKILL."]


def test_those_who_wait_while_the_process_dies_are_told_to_come_again(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            return await ask_all(runner, (sp.SLOW, 1.0), (sp.CRASH, 0.0), (sp.DOUBLE, 1.0))

    answers = asyncio.run(main())

    assert codes(answers) == [[2.0], "MODEL_NOT_READY", "MODEL_NOT_READY"]


def test_a_model_that_hangs_on_a_call_is_killed_by_the_watchdog(tmp_path: Path) -> None:
    limits = RunnerLimits(predict_timeout_s=0.4, warm_calls=1)

    async def main() -> tuple[list[str], bool]:
        async with serving(tmp_path, sp.Obedient(), limits=limits) as (runner, deaths):
            with pytest.raises(DeadlineExceeded):
                await ask(runner, (sp.HANG, 0.0))
            await sp.eventually(lambda: bool(deaths))
            return deaths, sp.is_alive(runner.pid)

    assert asyncio.run(main()) == (
        ["The model's process gave no answer in 0.4 s and was killed."],
        False,
    )


def test_a_stopped_process_is_killed_by_the_watchdog(tmp_path: Path) -> None:
    limits = RunnerLimits(predict_timeout_s=0.4, warm_calls=1)

    async def main() -> bool:
        async with serving(tmp_path, sp.Obedient(), limits=limits) as (runner, deaths):
            os.kill(runner.pid, signal.SIGSTOP)
            with pytest.raises(DeadlineExceeded):
                await ask(runner, (sp.DOUBLE, 0.0))
            await sp.eventually(lambda: bool(deaths))
            return sp.is_alive(runner.pid)

    assert asyncio.run(main()) is False


def test_a_model_that_floods_its_output_still_answers(tmp_path: Path) -> None:
    async def main() -> tuple[list[Any], int]:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            answers = await ask_all(runner, (sp.FLOOD, 4.0))
            return answers, len(runner.output())

    answers, kept = asyncio.run(main())

    assert answers == [[8.0]]
    assert kept <= 1 << 16


def test_what_a_model_prints_can_be_read(tmp_path: Path) -> None:
    async def main() -> bool:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            await ask(runner, (sp.SPEAK_OUT, 0.0))
            return await sp.eventually(lambda: "the model speaks" in runner.output())

    assert asyncio.run(main())


def test_a_caller_that_leaves_leaves_the_queue(tmp_path: Path) -> None:
    queue = QueueLimits(Bounds(max_waiting=1, max_queue_s=9.0, standing_s=9.0))
    limits = RunnerLimits(warm_calls=1, queue=queue)

    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient(), limits=limits) as (runner, _):
            slow = asyncio.create_task(ask(runner, (sp.SLOW, 1.0)))
            await asyncio.sleep(0)
            leaving = asyncio.create_task(ask(runner, (sp.CRASH, 1.0)))
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="1 requests waiting"):
                await ask(runner, (sp.DOUBLE, 2.0))
            leaving.cancel()
            await asyncio.sleep(0)
            return [(await ask(runner, (sp.DOUBLE, 2.0))).arrays, (await slow).arrays]

    assert asyncio.run(main()) == [(np.array([4.0]),), (np.array([2.0]),)]


def test_rows_that_fit_in_no_frame_are_too_large(tmp_path: Path) -> None:
    limits = RunnerLimits(warm_calls=1, max_frame_bytes=1000)

    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Obedient(), limits=limits) as (runner, _):
            with pytest.raises(TooLarge):
                await ask(runner, *[(sp.DOUBLE, 1.0)] * 100)
            # One by one they fit, together they do not: they go in halves.
            return await ask_all(runner, *[(sp.DOUBLE, 1.0)] * 100)

    assert asyncio.run(main()) == [[2.0]] * 100


def test_a_method_that_the_model_lacks_is_an_invalid_request(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            params = {"predict_method": "predict_proba"}
            with pytest.raises(InvalidRequest, match="predict_proba"):
                await runner.predict(sp.matrix((sp.DOUBLE, 1.0)), params)
            with pytest.raises(InvalidRequest, match="plain data"):
                await runner.predict(sp.matrix((sp.DOUBLE, 1.0)), {"x": object()})

    asyncio.run(main())


def test_requests_of_other_layouts_are_answered_apart(tmp_path: Path) -> None:
    async def main() -> list[list[float]]:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            wide = Batch((), (np.array([[sp.DOUBLE, 2.0, 9.0]]),), is_matrix=True)
            whole = Batch((), (np.array([[0, 3]], dtype=np.int32),), is_matrix=True)
            narrow = sp.matrix((sp.DOUBLE, 1.0))
            asked = (runner.predict(batch, {}) for batch in (narrow, wide, whole, narrow))
            return [one.arrays[0].tolist() for one in await asyncio.gather(*asked)]

    assert asyncio.run(main()) == [[2.0], [4.0], [6.0], [2.0]]


def test_text_goes_both_ways(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        async with serving(tmp_path, sp.Textual()) as (runner, _):
            return await ask_all(runner, (1.0, 0.0), (2.0, 0.0))

    assert asyncio.run(main()) == [["odd"], ["even"]]


# --- the end --------------------------------------------------------------------------------------


def test_closing_leaves_no_process_descriptor_or_folder(tmp_path: Path) -> None:
    async def main() -> tuple[int, int, int]:
        before = sp.descriptors()
        async with serving(tmp_path, sp.Obedient()) as (runner, deaths):
            await ask(runner, (sp.DOUBLE, 1.0))
        await asyncio.sleep(0)
        await sp.eventually(lambda: sp.descriptors() == before)
        assert deaths == []
        return runner.pid, before, sp.descriptors()

    pid, before, after = asyncio.run(main())

    assert not sp.is_alive(pid)
    assert before == after
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_runner_dies_with_its_worker_even_when_the_model_hangs(tmp_path: Path) -> None:
    """The worker is a process of its own here, killed without a chance to clean up."""
    folder = sp.save(tmp_path / "model", sp.Bomb("import os; os.fork()\nwhile True: pass"))
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(folder), str(tmp_path)])
    tasks = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    assert sp.until(lambda: bool(tasks.read_text().split()))
    runner = int(tasks.read_text().split()[0])
    assert sp.until(lambda: len(group_of(runner)) == 2)

    worker.kill()

    worker.wait()
    assert sp.until(lambda: not group_of(runner), within_s=5.0)


_WORKER = """
import sys
from pathlib import Path
from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.progress import Progress
from gateway.serving.runner import start_runner
from registry.route import VersionKey
key, folder, scratch = VersionKey("m", 1, ""), Path(sys.argv[1]), Path(sys.argv[2])
start_runner(key, folder, limits=RunnerLimits(), ground=Ground(scratch), progress=Progress())
"""


def test_what_went_off_into_a_session_of_its_own_ends_with_its_runner(tmp_path: Path) -> None:
    """It comes to the worker, a process of its own here, which adopts, and ends what it adopted."""
    deed = (
        "import os, time\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    os.fork() and os._exit(0)\n"
        "    time.sleep(600)\n"
        "os._exit(3)"
    )
    folder = sp.save(tmp_path / "model", sp.Bomb(deed))
    asked = [sys.executable, "-c", _ADOPTING + _WORKER, str(folder), str(tmp_path)]

    ended = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert "ended with exit code 3" in ended.stderr
    assert ended.stdout.splitlines() == ["children left: []"]


_ADOPTING = """
import atexit, glob
from gateway.offspring import adopt
adopt()
def tell():
    print("children left:", [x for f in glob.glob("/proc/self/task/*/children") for x in open(f)
                             if x.strip()])
atexit.register(tell)
"""


def test_a_predict_costs_far_less_than_a_second(tmp_path: Path) -> None:
    """A tripwire against a lost wake-up, which would cost a whole timeout."""

    async def main() -> float:
        async with serving(tmp_path, sp.Obedient()) as (runner, _):
            started_s = time.monotonic()
            for _ in range(100):
                await ask(runner, (sp.DOUBLE, 1.0))
            return time.monotonic() - started_s

    assert asyncio.run(main()) < 5.0
