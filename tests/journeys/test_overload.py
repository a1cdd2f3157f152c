"""Ten times what a model can answer: refused at once and politely, and nobody else notices."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.gateway.serving.specimens import Diarist, Diary
from tests.journeys.history import failures, false_answers
from tests.journeys.models import Marked, marked_answer, register
from tests.journeys.server import Server, running
from tests.journeys.traffic import Traffic

SLOW, FAST = "Slow", "Fast"
ROW_S = 0.2
"""Two workers answer ten rows a second."""
RATE = 100.0
PROBES = [[float(n), 1.0, 2.0] for n in range(6000)]
SHED = "stagedoor_shed_total"
INFLIGHT = "stagedoor_inflight_requests"
SETTINGS: dict[str, dict[str, object]] = {
    "serving": {"warmup_requests": 2},
    "overload": {"max_queue_ms": 2000},
    "health": {"required_models": [SLOW]},
}


class Story(Server):
    """A server that is not ready before its slow model is."""

    def start(self) -> "Server":
        self.launch()
        self.wait_until(lambda: self.get("/health/live").status == 200, "live")
        return self


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(Story(tmp_path / "server", settings=SETTINGS)) as started:
        yield started


def test_a_model_that_is_asked_too_much_refuses_at_once_and_harms_no_other(
    server: Server, diary: Diary
) -> None:
    server.wait_until(lambda: "no version in Production" in why_unready(server), "unready")
    bring_up(server, diary)
    server.wait_until(server.is_ready, "ready")
    callers_who_wait_for_their_answers_are_never_refused(server)

    calm = Traffic(server, SLOW, PROBES[:3000], rate=RATE / 2, callers=24)
    hasty = Traffic(server, SLOW, PROBES[3000:], rate=RATE / 2, callers=24)
    hasty.timeout_ms = 700
    lonely = Traffic(server, SLOW, PROBES[:1], rate=1.0, callers=1, keyed=True)
    undisturbed = Traffic(server, FAST, PROBES[:20], rate=20.0, callers=2)
    with calm, hasty, lonely, undisturbed:
        undisturbed.wait_for(40)
        health = {server.get(path).status for path in ("/health/live", "/health/ready", "/ping")}
        calm.wait_for(20)
        lonely.wait_for(2)

    asked = calm.history + hasty.history
    refused = [row for row in asked if row.status == 503]
    assert Counter(row.status for row in asked).keys() <= {200, 503, 504}
    assert len(refused) > len(asked) / 3
    assert {row.status for row in asked} >= {200, 503}
    assert all(int(row.retry_after) >= 1 for row in refused)
    assert all(json.loads(row.error)["retryable"] for row in refused)
    assert not {row.probe[0] for row in refused} & set(diary.rows())
    assert health == {200}
    assert failures(lonely.history) == []
    assert failures(undisturbed.history) == []
    assert false_answers(undisturbed.history, marked_answer) == []
    server.wait_until(lambda: value(server, SHED) == len(refused), "all refusals counted")
    server.wait_until(lambda: server.predict(SLOW, PROBES[:1]).status == 200, "normal again")
    callers_who_leave_leave_the_queue(server, diary)


def callers_who_wait_for_their_answers_are_never_refused(server: Server) -> None:
    """Begin with what is no overload: five who always wait, each for at most four others."""
    with Traffic(server, SLOW, PROBES[:1], rate=1000.0, callers=5) as steady:
        steady.wait_for(15)

    assert failures(steady.history) == []


def callers_who_leave_leave_the_queue(server: Server, diary: Diary) -> None:
    """Go on with the same server: its runners take a call each, and no more."""
    rows = [float(10_000 + n) for n in range(8)]
    diary.shut()
    callers = [begin_call(server, row) for row in rows]
    server.wait_until(lambda: value(server, INFLIGHT) >= 1, "in a call, or waiting for it")

    for caller in callers:
        caller.close()

    # The calls under way go on, and nobody is held for them.
    server.wait_until(lambda: value(server, INFLIGHT) == 0, "nobody held")
    server.wait_until(lambda: value(server, "stagedoor_cancelled_total") >= 1, "counted")
    server.wait_until(lambda: value(server, "stagedoor_queue_depth") == 0, "nobody waits")
    diary.open()
    server.wait_until(lambda: server.predict(SLOW, PROBES[:1]).status == 200, "normal again")
    assert len(set(rows) & set(diary.rows())) <= 2


def bring_up(server: Server, diary: Diary) -> None:
    slow = Diarist(diary.path, row_s=ROW_S)
    assert register(server, SLOW, slow, input_example=np.array([[-1.0, 0.0, 0.0]])) == 1
    assert register(server, FAST, Marked(1)) == 1
    for model in (SLOW, FAST):
        assert server.promote(model, 1).status == 200


def begin_call(server: Server, row: float) -> socket.socket:
    """Send a request, and do not wait for its answer."""
    body = json.dumps({"inputs": [[row, 1.0, 2.0]]})
    head = f"POST /models/{SLOW}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    caller = socket.create_connection(("127.0.0.1", server.port))
    caller.sendall((head + body).encode())
    return caller


def why_unready(server: Server) -> str:
    return str(server.get("/health/ready").json().get("reason", ""))


def value(server: Server, metric: str) -> float:
    page = server.get("/metrics").body.decode().splitlines()
    lines = [line for line in page if line.startswith(f'{metric}{{model="{SLOW}"')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
