"""What a server has acknowledged is there after a restart; what is sealed stays as it is."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stagedoor
from tests.journeys.models import register_marked, tracking_at
from tests.journeys.server import Server, kill_hard, running

ROWS = [[1.0, 2.0, 3.0]]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def test_routes_stages_aliases_and_artifacts_survive_a_restart(server: Server) -> None:
    register_marked(server, "Marked", 3)
    with tracking_at(server):
        client = stagedoor.StagedoorClient()
        client.set_registered_model_alias("Marked", "champion", "3")
        run_id = client.get_model_version("Marked", "1").run_id
        assert server.promote("Marked", 1).status == 200
        assert server.promote("Marked", 2, to="Staging").status == 200
        asked = {"weight_bp": 10_000, "wait": "active"}
        assert server.send("PUT", "/admin/models/Marked/traffic", asked).status == 200
        server.wait_until(lambda: server.status("Marked")["is_converged"], "converged")
        before = server.status("Marked")

        server.restart()

        after = server.status("Marked")
        files = {file.path for file in client.list_artifacts(str(run_id), "model")}
        loaded = stagedoor.load_model("models:/Marked@champion").predict(ROWS)
    answers = {
        target: server.predict(target, ROWS).version
        for target in ("Marked", "Marked/Production", "Marked/staging", "Marked@champion")
    }
    assert {k: after[k] for k in ("epoch", "desired", "committed", "is_converged")} == {
        k: before[k] for k in ("epoch", "desired", "committed", "is_converged")
    }
    assert answers == {
        "Marked": 2,
        "Marked/Production": 1,
        "Marked/staging": 2,
        "Marked@champion": 3,
    }
    assert {"model/MLmodel", "model/model.pkl"} <= files
    assert loaded.tolist() == [3006.0]


def test_requests_that_come_while_a_server_starts_wait_and_are_answered(server: Server) -> None:
    register_marked(server, "Marked", 1)
    assert server.promote("Marked", 1).status == 200
    assert server.stop() == 0

    server.launch()
    with ThreadPoolExecutor(8) as callers:
        replies = list(callers.map(lambda _: server.predict("Marked", ROWS), range(16)))
    while_starting = {reply.status for reply in replies}

    assert while_starting == {200}


def test_what_was_acknowledged_survives_a_kill_of_everything(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").start()
    register_marked(server, "Marked", 2)
    assert server.promote("Marked", 1).status == 200
    assert server.promote("Marked", 2).status == 200
    workers = server.worker_pids()
    server.kill()
    kill_hard(workers)

    with running(server):
        answers = server.ask_every_worker(lambda: server.predict("Marked", ROWS))
        rolled_back = server.post("/admin/models/Marked/rollback", {"wait": "active"})
        finally_by = server.predict("Marked", ROWS).version

    assert {reply.version for reply in answers.values()} == {2}
    assert rolled_back.json()["version"] == 1
    assert finally_by == 1


def test_the_files_of_a_version_are_sealed(shared: Server) -> None:
    register_marked(shared, "Sealed", 1)
    with tracking_at(shared):
        uri = stagedoor.StagedoorClient().get_model_version_download_uri("Sealed", "1")
    folder = uri.removeprefix("mlflow-artifacts:/").strip("/")
    told = {"Content-Type": "application/octet-stream"}

    replies = [
        shared.call(method, f"{ARTIFACTS}/{path}", b"x", told)
        for path in (f"{folder}/model.pkl", f"{folder}/new", f"{folder}/./model.pkl", folder)
        for method in ("PUT", "DELETE")
    ]
    beside = shared.call("PUT", f"{ARTIFACTS}/{folder}-beside/file", b"x", told)

    assert {reply.status for reply in replies} <= {400, 409}
    assert [reply.status for reply in replies[:4]] == [409] * 4
    assert replies[0].json()["error_code"] == "RESOURCE_CONFLICT"
    assert beside.status == 200
    assert shared.promote("Sealed", 1).status == 200


def test_a_rollback_brings_back_what_served_before(shared: Server) -> None:
    register_marked(shared, "Back", 2)
    assert shared.promote("Back", 1).status == 200
    assert shared.promote("Back", 2).status == 200

    planned = shared.post("/admin/models/Back/rollback", {"dry_run": True})
    untouched = shared.status("Back")["epoch"]
    done = shared.post("/admin/models/Back/rollback", {"wait": "active", "reason": "worse"})

    answers = shared.ask_every_worker(lambda: shared.predict("Back", ROWS))
    assert (planned.json()["state"], planned.json()["version"], untouched) == ("PLANNED", 1, 2)
    assert (done.json()["state"], done.json()["version"], done.json()["epoch"]) == (
        "COMMITTED",
        1,
        3,
    )
    assert {reply.version for reply in answers.values()} == {1}
    assert stages(shared, "Back") == {1: "Production", 2: "Archived"}


def test_a_dry_run_says_what_would_happen_and_changes_nothing(shared: Server) -> None:
    register_marked(shared, "Dry", 2)
    assert shared.promote("Dry", 1).status == 200

    planned = shared.promote("Dry", 2, dry_run=True).json()

    assert (planned["state"], planned["dry_run"]) == ("PLANNED", True)
    assert planned["moves"] == [
        {"version": 1, "from_stage": "Production", "to_stage": "Archived"},
        {"version": 2, "from_stage": "None", "to_stage": "Production"},
    ]
    assert shared.predict("Dry", ROWS).version == 1
    assert stages(shared, "Dry") == {1: "Production", 2: "None"}


def test_a_promotion_that_expects_another_production_is_a_conflict(shared: Server) -> None:
    register_marked(shared, "Expected", 2)
    assert shared.promote("Expected", 1, expected_production=None).status == 200

    refused = [
        shared.promote("Expected", 2, expected_production=None),
        shared.promote("Expected", 2, expected_production=2),
    ]
    done = shared.promote("Expected", 2, expected_production="1")

    assert [reply.status for reply in refused] == [409, 409]
    assert "not the expected" in refused[0].json()["message"]
    assert done.status == 200


def test_promoting_what_serves_already_changes_nothing(shared: Server) -> None:
    register_marked(shared, "Same", 1)
    first = shared.promote("Same", 1).json()

    again = shared.promote("Same", 1).json()

    assert (first["epoch"], again["epoch"], again["state"]) == (1, 1, "COMMITTED")
    assert again["moves"] == []


def test_the_page_of_metrics_adds_up_all_workers_and_never_falls(server: Server) -> None:
    register_marked(server, "Marked", 1)
    assert server.promote("Marked", 1).status == 200
    server.ask_every_worker(lambda: server.predict("Marked", ROWS))
    counted_before = answered(server)
    for _ in range(30):
        assert server.predict("Marked", ROWS).status == 200
    assert server.post("/models/Marked/invocations", {}).status == 400
    counted = answered(server)

    before = server.worker_ids()
    kill_hard([server.worker_pids()[0]])
    server.wait_for_replacement(before)
    pages = server.ask_every_worker(lambda: server.get("/metrics")).values()
    after_kill = answered(server)

    assert counted["200"] - counted_before["200"] == 30
    assert counted["400"] == 1
    assert after_kill == counted
    assert len({value_lines(reply.body.decode()) for reply in pages}) == 1


def stages(server: Server, model: str) -> Mapping[int, str]:
    with tracking_at(server):
        found = stagedoor.StagedoorClient().search_model_versions(f"name='{model}'")
    return {int(version.version): str(version.current_stage) for version in found}


def answered(server: Server) -> dict[str, float]:
    """Return how many predict requests each code has answered."""
    counts: dict[str, float] = {}
    for line in value_lines(server.get("/metrics").body.decode()):
        code = line.partition('code="')[2].partition('"')[0]
        counts[code] = counts.get(code, 0.0) + float(line.rpartition(" ")[2])
    return counts


def value_lines(page: str) -> tuple[str, ...]:
    lines = page.splitlines()
    return tuple(line for line in lines if line.startswith("stagedoor_requests_total{"))
