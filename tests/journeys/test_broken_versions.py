"""A version that cannot serve never does: the old one answers on, and the reason is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import stagedoor
from registry.signature import Signature, TensorSpec
from tests.chaos.hostile import Seen, call_villain, judge, left_behind, processes_of
from tests.chaos.villains import AT_CALL
from tests.journeys.history import failures, false_answers
from tests.journeys.models import (
    EXAMPLE,
    Hostile,
    Marked,
    OneForAll,
    marked_answer,
    register,
    tracking_at,
)
from tests.journeys.server import Server, running
from tests.journeys.traffic import Traffic

MODEL = "Marked"
PROBES = [[float(n), 1.0, 2.0] for n in range(20)]
SIGNATURE = Signature(inputs=(TensorSpec("float64", (-1, 3)),), outputs=())
WRONG_ANSWER = Signature(
    inputs=(TensorSpec("float64", (-1, 3)),), outputs=(TensorSpec("float64", (-1, 7)),)
)
SETTINGS: dict[str, dict[str, object]] = {
    "serving": {"load_timeout_s": 9, "rollback_window_s": 0.5},
    "registry": {"switch_timeout_s": 17},
    "environments": {"mode": "auto", "offline": True},
}
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a good version 1 in Production."""
    folder = tmp_path_factory.mktemp("broken")
    with running(Server(folder / "server", settings=SETTINGS)) as server:
        assert register(server, MODEL, Marked(1)) == 1
        assert server.promote(MODEL, 1).status == 200
        yield server


def hostile(server: Server, deed: str) -> int:
    return register(server, MODEL, Hostile(deed), input_example=None, signature=SIGNATURE)


def raises_an_import_error(server: Server) -> int:
    return hostile(server, "import a_module_that_nobody_has")


def ends_its_process(server: Server) -> int:
    return hostile(server, "import os; os._exit(3)")


def crashes_its_process(server: Server) -> int:
    return hostile(server, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


def hangs(server: Server) -> int:
    return hostile(server, "while True: pass")


def answers_one_for_all(server: Server) -> int:
    return register(server, MODEL, OneForAll(99), input_example=EXAMPLE, signature=SIGNATURE)


def answers_another_shape(server: Server) -> int:
    return register(server, MODEL, Marked(99), input_example=EXAMPLE, signature=WRONG_ANSWER)


def has_a_truncated_pickle(server: Server) -> int:
    return register_changed(server, "model.pkl", b"\x80\x05\x95")


def has_an_unreadable_description(server: Server) -> int:
    return register_changed(server, "MLmodel", b"flavors: [")


def was_changed_on_disk(server: Server) -> int:
    version = register(server, MODEL, Marked(99))
    pickle = artifact_folder(server, version) / "model.pkl"
    flipped = bytearray(pickle.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    pickle.write_bytes(flipped)
    return version


def lost_a_file_on_disk(server: Server) -> int:
    version = register(server, MODEL, Marked(99))
    (artifact_folder(server, version) / "model.pkl").unlink()
    return version


def needs_a_package_that_nobody_has(server: Server) -> int:
    return register_changed(server, "requirements.txt", b"no-such-package==1.0\n")


BROKEN = [
    (raises_an_import_error, "a_module_that_nobody_has"),
    (ends_its_process, "exit|ended"),
    (crashes_its_process, "SIGSEGV|signal"),
    (hangs, "9 s|9.0 s"),
    (answers_one_for_all, "row"),
    (answers_another_shape, "7|shape"),
    (has_a_truncated_pickle, "model.pkl"),
    (has_an_unreadable_description, "MLmodel"),
    (was_changed_on_disk, "model.pkl"),
    (lost_a_file_on_disk, "model.pkl"),
    (needs_a_package_that_nobody_has, "no-such-package"),
]


@pytest.mark.parametrize(
    ("breakage", "reason"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_version_is_not_promoted(
    shared: Server, breakage: Callable[[Server], int], reason: str
) -> None:
    version = breakage(shared)

    with Traffic(shared, MODEL, PROBES, rate=40.0) as traffic:
        refused = shared.promote(MODEL, version)
        traffic.wait_for(10)

    status = shared.status(MODEL)
    assert refused.status == 412, refused.body
    assert refused.json()["error_code"] == "GATE_UNMET"
    assert_told(refused.json()["message"], reason)
    assert_told(status["refused"][str(version)], reason)
    assert status["committed"]["production"] == status["desired"]["production"] == 1
    assert failures(traffic.history) == []
    assert {row.version for row in traffic.history} == {1}
    assert false_answers(traffic.history, marked_answer) == []
    assert shared.is_ready()


def test_a_model_that_leaves_children_and_ends_its_process_harms_no_other(shared: Server) -> None:
    """One of those of ``make chaos ARGS="--only hostile"``."""
    before = processes_of(shared)

    with Traffic(shared, MODEL, PROBES, rate=40.0) as traffic:
        told = list(call_villain(shared, "Villain", AT_CALL["children and exit"]))
        left = left_behind(shared, before)
        traffic.wait_for(10)

    seen = Seen(
        good=traffic.history,
        wrong=false_answers(traffic.history, marked_answer),
        health=[] if shared.is_ready() else ["not ready"],
        told=[replace(one, took_s=0.0) for one in told],
        left=list(left.values()),
    )
    assert judge(seen).faults == []


@pytest.mark.timeout(240)
def test_a_broken_version_that_an_mlflow_client_moved_changes_nothing(tmp_path: Path) -> None:
    """The stage moves at once; the route does not, also not in a server that starts afresh."""
    with running(Server(tmp_path / "server", settings=SETTINGS)) as server:
        assert register(server, MODEL, Marked(1)) == 1
        assert server.promote(MODEL, 1).status == 200
        version = raises_an_import_error(server)
        with Traffic(server, MODEL, PROBES, rate=40.0) as traffic:
            moved = server.transition(MODEL, version, "Production", archive=True)
            server.wait_until(
                lambda: str(version) in server.status(MODEL)["refused"], "the reason shown"
            )
            traffic.wait_for(10)
        before = server.status(MODEL)

        server.restart()

        after = server.status(MODEL)
        answers = server.ask_every_worker(lambda: server.predict(MODEL, PROBES[:1]))
        healed = register(server, MODEL, Marked(3))
        assert server.promote(MODEL, healed).status == 200
        finally_by = server.predict(MODEL, PROBES[:1]).version

    assert moved.json()["model_version"]["current_stage"] == "Production"
    assert failures(traffic.history) == []
    assert {row.version for row in traffic.history} == {1}
    for status in (before, after):
        assert status["committed"]["production"] == 1
        assert status["desired"]["production"] == version
        assert not status["is_converged"]
        assert_told(status["refused"][str(version)], "a_module_that_nobody_has")
    assert {reply.version for reply in answers.values()} == {1}
    assert finally_by == healed == 3


def test_a_version_without_files_is_refused_with_the_reason(shared: Server) -> None:
    with tracking_at(shared), stagedoor.start_run() as run:
        source = f"runs:/{run.info.run_id}/nothing"
        version = stagedoor.register_model(source, MODEL).version

    refused = shared.promote(MODEL, int(version))

    assert refused.status == 412
    assert_told(refused.json()["message"], "no model folder")


def test_a_version_whose_files_come_later_can_be_promoted_then(shared: Server) -> None:
    with tracking_at(shared), stagedoor.start_run() as run:
        early = stagedoor.register_model(f"runs:/{run.info.run_id}/model", "Early").version
        refused = shared.promote("Early", int(early))
        stagedoor.sklearn.log_model(Marked(1), "model", input_example=EXAMPLE)

    promoted = shared.promote("Early", int(early))

    assert (refused.status, promoted.status) == (412, 200)


def test_a_version_closes_no_folder_that_is_no_model(shared: Server) -> None:
    with tracking_at(shared), stagedoor.start_run() as run:
        client = stagedoor.StagedoorClient()
        client.create_registered_model("Greedy")
        root, run_id = run.info.artifact_uri, run.info.run_id
        version = client.create_model_version("Greedy", root, run_id=run_id).version
        stagedoor.log_text("still open", "note.txt")

    assert shared.promote("Greedy", int(version)).status == 412


def register_changed(server: Server, name: str, content: bytes) -> int:
    """Log a good model, replace one of its files, and register it like that."""
    with tracking_at(server), stagedoor.start_run() as run:
        info = stagedoor.sklearn.log_model(Marked(99), "model", input_example=EXAMPLE)
        path = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
        changed = server.call("PUT", f"{ARTIFACTS}/{path}/model/{name}", content)
        assert changed.status == 200, changed.body
        return int(stagedoor.register_model(info.model_uri, MODEL).version)


def artifact_folder(server: Server, version: int) -> Path:
    """Return where the files of a version lie on the server's disk."""
    with tracking_at(server):
        uri = stagedoor.StagedoorClient().get_model_version_download_uri(MODEL, str(version))
    return server.folder / "artifacts" / uri.removeprefix("mlflow-artifacts:/").lstrip("/")


def assert_told(message: str, reason: str) -> None:
    """Assert that a message is one for people, and names the reason."""
    assert any(part in message for part in reason.split("|")), message
    assert "Traceback" not in message
    assert "\n" not in message
