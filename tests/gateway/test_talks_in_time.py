"""Time of talks over HTTP: a real model's process that says nothing, or never ends."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.auth.policy import LOCAL
from gateway.predict import Predict
from gateway.routing.table import CANDIDATE, STABLE, Assignment, Reason
from gateway.talks import Told, tell_or_fall_back
from registry.route import Route
from tests.gateway.patients import RECORDS, predict_of, stable
from tests.gateway.serving.talkers import Home, until
from tracking.errors import DeadlineExceeded

ENDLESS = 1 << 40
STREAM, SCORING = "/v2/models/oak/generate_stream", "/models/oak/invocations"
EVENTS = {"accept": "text/event-stream"}
LATE = "The model had not told everything when the time for this request was over."


class Served(Home):
    """The runner as a version of a model that is served."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.runner.key = RECORDS[1].key

    def predict(self, **options: Any) -> Predict:
        return predict_of(Route(production=1), cast("Any", self.runner), **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Served(tmp_path_factory.mktemp("talker"))
    yield home
    home.close()


async def send_to(
    predict: Predict, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, list[Any]]:
    """Return the status, and what was told: events, or one body."""
    told = {"content-type": "application/json", **headers}
    scope = {
        "method": "POST",
        "raw_path": path.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        "state": {"request_id": "r", "principal": LOCAL},
    }
    messages = [{"type": "http.request", "body": json.dumps(body).encode()}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await predict(scope, receive, send)
    parts = [message["body"].removeprefix(b"data: ") for message in sent[1:]]
    return sent[0]["status"], [json.loads(part) for part in parts if part]


def document(pieces: int, **more: Any) -> dict[str, Any]:
    return {"prompt": "hi", "pieces": pieces, **more}


@pytest.mark.parametrize(
    ("path", "headers", "more", "max_timeout_s"),
    [
        (STREAM, {"stagedoor-timeout-ms": "60"}, {}, 60.0),
        (STREAM, {}, {"parameters": {"timeout": 60_000}}, 60.0),
        (STREAM, {"stagedoor-timeout-ms": "90000"}, {}, 0.06),
        (SCORING, {"stagedoor-timeout-ms": "60", **EVENTS}, {}, 60.0),
    ],
)
def test_who_was_told_nothing_in_time_has_the_status(
    home: Served, tmp_path: Path, path: str, headers: Any, more: Any, max_timeout_s: float
) -> None:
    """The model waits until this answer is there, and the next call until it waits no more."""
    go = tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    asked = document(0, deed=waits, last=waits, **more)

    predict = home.predict(max_timeout_s=max_timeout_s)
    status, told = home.run(send_to(predict, path, asked, headers))
    go.touch()
    home.run(until(lambda: home.runner.busyness[2] == 0))

    assert status == 504
    assert "DEADLINE_EXCEEDED" in json.dumps(told) or LATE in json.dumps(told)


def test_a_document_waits_no_longer_than_it_may(home: Served, tmp_path: Path) -> None:
    """The only process says nothing to somebody else until both are answered."""
    go = tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"

    async def story() -> list[int]:
        predict = home.predict()
        busy = asyncio.create_task(send_to(predict, STREAM, document(0, deed=waits), {}))
        await until(lambda: home.runner.busyness[1])
        hasty = document(0, parameters={"timeout": 30_000})
        scored = await send_to(predict, SCORING, document(0), {"stagedoor-timeout-ms": "30"})
        generated = await send_to(predict, "/v2/models/oak/generate", hasty, {})
        go.touch()
        return [scored[0], generated[0], (await busy)[0]]

    assert home.run(story()) == [504, 504, 200]


@pytest.mark.parametrize(
    ("path", "asked_by"), [(STREAM, "header"), (STREAM, "body"), (SCORING, "header")]
)
def test_a_stream_that_has_begun_ends_in_time_with_an_error(
    home: Served, tmp_path: Path, path: str, asked_by: str
) -> None:
    """It has more time where that was not enough for a beginning."""
    predict, log, status = home.predict(), tmp_path / "log", 0

    for exponent in range(8):
        time_ms = 100 << exponent
        head = {"stagedoor-timeout-ms": str(time_ms)} if asked_by == "header" else {}
        more = {"parameters": {"timeout": time_ms * 1000}} if asked_by == "body" else {}
        asked = document(ENDLESS, log=str(log), **more)
        status, told = home.run(send_to(predict, path, asked, EVENTS | head))
        if status == 200:
            break
    home.run(until(log.exists))

    assert status == 200
    assert [event["at"] for event in told[:-1]] == [*range(1, len(told))]
    assert LATE in json.dumps(told[-1])
    home.run(until(lambda: home.runner.busyness[2] == 0))


@pytest.mark.parametrize("timeout", [-1, 1.5, "soon", True])
def test_a_time_that_is_none_is_refused(home: Served, timeout: Any) -> None:
    asked = document(1, parameters={"timeout": timeout})

    assert home.run(send_to(home.predict(), STREAM, asked, {}))[0] == 400


def test_a_model_that_does_not_talk_has_no_more_time_on_a_stream() -> None:
    predict = predict_of(Route(production=1), stable(needs_s=9.0))
    rows, hasty = {"x": 1.0}, {"x": 1.0, "parameters": {"timeout": 2_000_000}}

    told = [
        asyncio.run(send_to(predict, STREAM, rows, {"stagedoor-timeout-ms": "2000"})),
        asyncio.run(send_to(predict, STREAM, hasty, {})),
        asyncio.run(send_to(predict, STREAM, rows, {})),
    ]

    assert [status for status, _ in told] == [504, 504, 200]


@pytest.mark.parametrize(("deadline_s", "asked"), [(0.0, [CANDIDATE]), (1e12, [CANDIDATE, STABLE])])
def test_stable_is_asked_only_while_there_is_time(deadline_s: float, asked: list[str]) -> None:
    heard: list[str] = []

    def assigned(variant: str) -> Assignment:
        key = RECORDS[1].key
        return Assignment("oak", key, "Production", variant, Reason.HASH, 1)

    async def telling(assignment: Assignment, _until_s: float) -> Told | None:
        heard.append(assignment.variant)
        raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded):
        asyncio.run(
            tell_or_fall_back(telling, assigned(CANDIDATE), lambda: assigned(STABLE), deadline_s)
        )

    assert heard == asked
