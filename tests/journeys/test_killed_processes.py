"""Processes end at the worst moment, and callers notice as little as can be."""

import os
import select
import signal
import threading
from pathlib import Path

from tests.journeys.history import failures, false_answers
from tests.journeys.models import Marked, marked_answer, register, register_marked
from tests.journeys.server import Reply, Server, kill_hard, running
from tests.journeys.traffic import Traffic

PROBES = [[float(n), 1.0, 2.0] for n in range(20)]


def test_a_killed_worker_is_replaced_and_only_its_own_connections_fail(server: Server) -> None:
    register_marked(server, "Marked", 2)
    assert server.promote("Marked", 1).status == 200
    before = server.worker_ids()
    victim = server.status("Marked")["workers"][0]

    with Traffic(server, "Marked", PROBES, rate=100.0) as traffic:
        traffic.wait_for(50)
        kill_hard([victim["pid"]])
        promoted = server.promote("Marked", 2)
        replacement = server.wait_for_replacement(before)
        answers = server.ask_every_worker(lambda: server.predict("Marked", PROBES[:1]))
        traffic.wait_for(50)

    lost = failures(traffic.history)
    assert promoted.status == 200
    assert victim["id"] not in server.worker_ids()
    assert answers[replacement].version == 2
    assert {(row.status, row.worker) for row in lost} <= {(0, victim["id"])}
    assert len(lost) <= 8
    assert false_answers(traffic.history, marked_answer) == []


def test_the_replacement_answers_nothing_before_it_has_loaded(server: Server) -> None:
    """Its very first answers are good ones: it accepts no connection before."""
    register_marked(server, "Marked", 1)
    assert server.promote("Marked", 1).status == 200
    before = server.worker_ids()
    seen: list[Reply] = []

    def somebody_new_answered() -> bool:
        seen.append(server.predict("Marked", PROBES[:1]))
        return seen[-1].headers["stagedoor-worker"] not in before

    kill_hard([server.worker_pids()[0]])
    server.wait_until(somebody_new_answered, "an answer of the replacement")

    assert {reply.status for reply in seen} == {200}
    assert {reply.version for reply in seen} == {1}


def test_a_killed_runner_is_started_again_and_other_models_notice_nothing(server: Server) -> None:
    register_marked(server, "Marked", 1)
    assert server.promote("Marked", 1).status == 200
    theirs = set(server.runner_pids())
    assert register(server, "Other", Marked(1)) == 1
    assert server.promote("Other", 1).status == 200
    victims = set(server.runner_pids()) - theirs
    assert len(victims) == 2

    with (
        Traffic(server, "Marked", PROBES, rate=60.0) as traffic,
        Traffic(server, "Other", PROBES, rate=60.0) as disturbed,
    ):
        disturbed.wait_for(20)
        kill_hard(victims)
        server.wait_until(lambda: len(server.runner_pids()) == 4, "two new runners")
        server.wait_until(
            lambda: server.predict("Other", PROBES[:1]).status == 200, "answering again"
        )
        server.ask_every_worker(lambda: server.predict("Other", PROBES[:1]))
        disturbed.wait_for(30)

    assert failures(traffic.history) == []
    assert false_answers(traffic.history, marked_answer) == []
    assert {row.status for row in failures(disturbed.history)} <= {503}
    assert false_answers(disturbed.history, marked_answer) == []
    assert disturbed.history[-1].status == 200


def test_nothing_is_lost_when_the_server_is_told_to_end_under_load(tmp_path: Path) -> None:
    """Callers that follow the readiness probe, as behind a load balancer, lose no call."""
    settings = {"server": {"pre_stop_s": 2.0}}
    with running(Server(tmp_path / "server", settings=settings)) as server:
        assert register(server, "Slow", Marked(1, pause_s=0.05)) == 1
        assert server.promote("Slow", 1).status == 200
        with Traffic(server, "Slow", PROBES, rate=60.0, callers=16) as traffic:
            traffic.wait_for(50)
            server.process.send_signal(signal.SIGTERM)
            server.wait_until(lambda: not server.is_ready(), "unready")
            history = traffic.end()
        server.process.wait(30)

    assert failures(history) == []
    assert false_answers(history, marked_answer) == []


def test_a_call_under_way_is_answered_although_the_server_was_told_to_end(tmp_path: Path) -> None:
    settings = {"serving": {"warmup_requests": 1}}
    with running(Server(tmp_path / "server", settings=settings)) as server:
        assert register(server, "Slow", Marked(1, pause_s=1.5)) == 1
        assert server.promote("Slow", 1).status == 200
        replies: list[Reply] = []
        caller = threading.Thread(target=lambda: replies.append(server.predict("Slow", PROBES[:1])))
        caller.start()
        server.wait_until(lambda: _inflight(server) == 1.0, "a call under way")

        server.process.send_signal(signal.SIGTERM)
        caller.join(30.0)

        assert [reply.status for reply in replies] == [200]
        assert server.process.wait(30) == 0


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").start()
    register_marked(server, "Marked", 1)
    assert server.promote("Marked", 1).status == 200
    processes = [*server.worker_pids(), *server.runner_pids()]

    server.kill()

    ends = [os.pidfd_open(pid) for pid in processes if Path(f"/proc/{pid}").exists()]
    for end in ends:
        assert _has_ended(end, timeout_s=30.0)
        os.close(end)


def _inflight(server: Server) -> float:
    page = server.get("/metrics").body.decode()
    lines = [line for line in page.splitlines() if line.startswith("stagedoor_inflight_requests{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _has_ended(pidfd: int, *, timeout_s: float) -> bool:
    return bool(select.select([pidfd], [], [], timeout_s)[0])
