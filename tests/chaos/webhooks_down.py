"""A receiver of webhooks that is down for minutes, while its models change."""

import json
import statistics
import time
from collections import defaultdict

from tests.chaos.scenario import Orders, Result
from tests.gateway.delivery.receivers import Call, Receiver
from tests.journeys.models import register_marked
from tests.journeys.server import Server, running

SETTINGS = {"webhooks": {"allowed_schemes": ["http"], "allowed_networks": ["127.0.0.0/8"]}}
EVENTS = [{"entity": "MODEL_VERSION_TAG", "action": "SET"}]
MODELS = ("Down A", "Down B")
CALM = 30
PAUSE_S = 0.2
DELIVERED_WITHIN_S = 1_500.0
MOST_SLOWER = 4.0
_API = "/api/2.0/mlflow"


def run(orders: Orders) -> Result:
    """Let the receiver be down for ``loops`` seconds; afterwards it is told all, in order."""
    with running(Server(orders.folder / "server", settings=SETTINGS)) as server:
        for model in MODELS:
            register_marked(server, model, 1)
        first = Receiver()
        asked = {"name": "down", "url": first.url, "events": EVENTS}
        assert server.post(f"{_API}/webhooks", asked).status == 200
        calm = [change(server, number) for number in range(CALM)]
        first.close()

        down: list[float] = []
        until = time.monotonic() + orders.loops
        while time.monotonic() < until:
            down.append(change(server, CALM + len(down)))
            time.sleep(PAUSE_S)

        second = Receiver(port=first.port)
        expected = CALM + len(down)
        server.wait_until(
            lambda: len({number(call) for call in [*first.calls, *second.calls]}) >= expected,
            "everything delivered",
            timeout_s=DELIVERED_WITHIN_S,
        )
        second.close()
    return judge([*first.calls, *second.calls], expected, calm, down)


def change(server: Server, number: int) -> float:
    """Make a change that says its number; return how long that took, in seconds."""
    asked = {"name": MODELS[number % 2], "version": "1", "key": "number", "value": str(number)}
    begun_s = time.monotonic()
    reply = server.post(f"{_API}/model-versions/set-tag", asked)
    assert reply.status == 200, reply.body
    return time.monotonic() - begun_s


def number(call: Call) -> int:
    """Return the number of the change that a call tells of."""
    return int(json.loads(call.body)["data"]["value"])


def judge(calls: list[Call], expected: int, calm: list[float], down: list[float]) -> Result:
    """Judge what came: all of it, each under one id, and for each model in order."""
    ids: dict[int, set[str]] = defaultdict(set)
    for call in calls:
        ids[number(call)].add(call.delivery_id)
    firsts = list(dict.fromkeys(number(call) for call in calls))
    faults = [f"change {n} was never told" for n in range(expected) if n not in ids]
    faults += [f"change {n} came under {len(of)} ids" for n, of in ids.items() if len(of) > 1]
    for parity, model in enumerate(MODELS):
        of_one = [n for n in firsts if n % 2 == parity]
        if of_one != sorted(of_one):
            faults.append(f"{model} was told out of order")
    before, during = statistics.median(calm), statistics.median(down or calm)
    if during > MOST_SLOWER * before:
        faults.append(f"a change took {during:.4f} s instead of {before:.4f} s")
    slow = f"a change took {1000 * during:.1f} ms, and {1000 * before:.1f} ms before"
    return Result(f"{expected} changes in {len(calls)} calls; while it was down {slow}", faults)
