"""What locust runs: callers, and one that promotes. Each call goes into the history.

Started by ``run``, which names the plan and the classes; one process, greenlets in one thread.
"""

import atexit
import itertools
import time
from pathlib import Path
from typing import Any

import msgspec
from locust import FastHttpUser, constant, events, task

from loadtests.history import Call, History, Promotion
from loadtests.plan import CANDIDATE, STABLE, Plan, Scenario, read_plan

_OK = 200
_PROMOTE_EVERY_S = 0.3


class Predictions(msgspec.Struct):
    """The body of an answer."""

    predictions: list[int]


class Record:
    """What all users of this process share."""

    def __init__(self, plan: Plan, history: History) -> None:
        self.plan = plan
        self.history = history
        self.turn = itertools.count()
        self.bodies = [msgspec.json.encode({"instances": [row]}) for row in plan.rows]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: Any) -> None:
    """Take what ``run`` gives."""
    parser.add_argument("--plan", required=True, include_in_web_ui=False)
    parser.add_argument("--history", required=True, include_in_web_ui=False)


@events.init.add_listener  # type: ignore[untyped-decorator]
def open_record(environment: Any, **_: Any) -> None:
    """Read the plan and open the history, which stays open for whatever users do at the end."""
    options = environment.parsed_options
    history = History(Path(options.history))
    environment.record = Record(read_plan(Path(options.plan)), history)
    atexit.register(history.close)


class Caller(FastHttpUser):  # type: ignore[misc] # locust has no types here
    """Calls the model without a pause, each time in the name of the next key."""

    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def predict(self) -> None:
        """Send one probe."""
        record: Record = self.environment.record
        turn = next(record.turn)
        key, row = f"key-{turn % record.plan.keys}", turn % len(record.bodies)
        headers = {"Content-Type": "application/json", "Stagedoor-Key": key}
        path = f"/models/{record.plan.model}/invocations"
        started_s = time.monotonic()
        with self.client.post(
            path, data=record.bodies[row], headers=headers, catch_response=True
        ) as answer:
            call = _read(answer, Call(key, row, started_s, time.monotonic(), answer.status_code))
            _mark(answer, call, record.plan)
        record.history.add(call)


class Switcher(FastHttpUser):  # type: ignore[misc] # locust has no types here
    """Promotes the two versions in turn, as soon as the one before is active everywhere."""

    fixed_count = 1
    wait_time = constant(_PROMOTE_EVERY_S)
    network_timeout = connection_timeout = 150.0

    def on_start(self) -> None:
        """Begin with the version that is not in Production."""
        self.versions = itertools.cycle((CANDIDATE, STABLE))

    @task  # type: ignore[untyped-decorator]
    def promote(self) -> None:
        """Promote the next version and wait until every worker serves it."""
        record: Record = self.environment.record
        if record.plan.scenario is not Scenario.PROMOTE:
            return
        version = next(self.versions)
        asked = {"version": version, "to": "Production", "wait": "active"}
        asked_s = time.monotonic()
        answer = self.client.post(f"/admin/models/{record.plan.model}/promote", json=asked)
        why = "" if answer.status_code == _OK else str(answer.text or answer.error)
        done = Promotion(version, asked_s, time.monotonic(), answer.status_code, why)
        record.history.add(done)


def _read(answer: Any, call: Call) -> Call:
    if answer.status_code != _OK:
        return msgspec.structs.replace(call, why=str(answer.text or answer.error))
    try:
        body = msgspec.json.decode(answer.content, type=Predictions)
    except msgspec.MsgspecError as error:
        return msgspec.structs.replace(call, why=f"not an answer: {error}")
    return msgspec.structs.replace(
        call,
        version=int(answer.headers.get("Stagedoor-Version", 0)),
        variant=answer.headers.get("Stagedoor-Variant", ""),
        fallback=answer.headers.get("Stagedoor-Fallback", ""),
        answer=body.predictions[0] if body.predictions else None,
    )


def _mark(answer: Any, call: Call, plan: Plan) -> None:
    """Tell locust's own page about wrong answers too."""
    own = plan.answers.get(call.version)
    if call.status == _OK and (own is None or own[call.row] != call.answer):
        answer.failure(f"version {call.version} does not answer {call.answer} to this probe")
