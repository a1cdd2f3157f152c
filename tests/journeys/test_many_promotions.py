"""500 promotions back and forth under steady load: nothing fails, nothing is answered wrongly."""

import time

import pytest

from tests.journeys.history import Promoted, failures, false_answers, out_of_turn
from tests.journeys.models import marked_answer, register_marked
from tests.journeys.server import Server
from tests.journeys.traffic import Traffic

PROMOTIONS = 500
PROBES = [[float(n), 1.0, 2.0] for n in range(20)]


def promote(server: Server, version: int) -> Promoted:
    """Promote, and see at once over a new connection that no old version answers."""
    asked_s = time.monotonic()
    reply = server.promote("Marked", version)
    assert reply.status == 200, reply.body
    promoted = Promoted(version, asked_s, time.monotonic())
    assert server.predict("Marked", PROBES[:1]).version == version
    return promoted


@pytest.mark.timeout(420)
def test_500_promotions_under_load_fail_nothing_and_answer_nothing_wrongly(server: Server) -> None:
    register_marked(server, "Marked", 2)
    promotions = [promote(server, 2)]

    with Traffic(server, "Marked", PROBES, rate=200.0) as traffic:
        traffic.wait_for(20)
        for number in range(PROMOTIONS):
            promotions.append(promote(server, 1 + number % 2))
            if number % 100 == 0:
                answers = server.ask_every_worker(lambda: server.predict("Marked", PROBES[:1]))
                assert {r.version for r in answers.values()} == {promotions[-1].version}
        traffic.wait_for(20)

    history = traffic.history
    assert failures(history) == []
    assert false_answers(history, marked_answer) == []
    assert out_of_turn(history, promotions) == []
    assert {row.version for row in history} == {1, 2}
    assert server.status("Marked")["epoch"] == PROMOTIONS + 1
