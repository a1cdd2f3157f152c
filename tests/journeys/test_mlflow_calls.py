"""The calls of an MLflow client as they go over the wire: stages and aliases move the traffic."""

from urllib.parse import quote

from tests.journeys.models import register_marked
from tests.journeys.server import Reply, Server

ROWS = [[1.0, 2.0, 3.0]]
API = "/api/2.0/mlflow"


def served_by(server: Server, target: str, version: int) -> None:
    """Wait until every worker answers by a version."""

    def all_do() -> bool:
        answers = server.ask_every_worker(lambda: server.predict(target, ROWS)).values()
        return {r.headers.get("stagedoor-version") for r in answers} == {str(version)}

    server.wait_until(all_do, f"{target} served by version {version}")


def test_transition_stage_moves_the_traffic_on_every_worker(shared: Server) -> None:
    register_marked(shared, "Staged", 2)

    first = shared.transition("Staged", 1, "production")
    served_by(shared, "Staged", 1)
    second = shared.transition("Staged", 2, "Production", archive=True)
    served_by(shared, "Staged", 2)

    assert first.json()["model_version"]["current_stage"] == "Production"
    assert second.json()["model_version"]["version"] == "2"
    query = f"{API}/registered-models/get?name=Staged"
    latest = shared.get(query).json()["registered_model"]["latest_versions"]
    assert {v["version"]: v["current_stage"] for v in latest} == {
        "1": "Archived",
        "2": "Production",
    }


def test_staging_is_served_by_its_name_while_production_stays(shared: Server) -> None:
    register_marked(shared, "Both", 2)
    shared.transition("Both", 1, "Production")
    shared.transition("Both", 2, "Staging")

    served_by(shared, "Both/Staging", 2)
    served_by(shared, "Both", 1)


def test_an_alias_moves_the_traffic_of_its_name(shared: Server) -> None:
    register_marked(shared, "Named", 2)

    for version in (1, 2):
        asked = {"name": "Named", "alias": "champion", "version": str(version)}
        assert shared.post(f"{API}/registered-models/alias", asked).status == 200
        served_by(shared, "Named@champion", version)
    by_alias = shared.get(f"{API}/registered-models/alias?name=Named&alias=champion")
    asked = {"name": "Named", "alias": "champion"}
    assert shared.send("DELETE", f"{API}/registered-models/alias", asked).status == 200

    def is_unknown() -> bool:
        return shared.predict("Named@champion", ROWS).status == 404

    shared.wait_until(is_unknown, "without the alias")
    assert by_alias.json()["model_version"]["version"] == "2"


def test_a_version_outside_routes_answers_to_its_number(shared: Server) -> None:
    register_marked(shared, "Numbered", 2)

    replies = [shared.predict("Numbered/1", ROWS), shared.predict("Numbered/latest", ROWS)]

    assert [(r.status, r.headers.get("stagedoor-version")) for r in replies] == [
        (200, "1"),
        (200, "2"),
    ]


def test_the_files_of_a_version_are_found_by_its_download_uri(shared: Server) -> None:
    register_marked(shared, "Fetched", 1)

    told = shared.get(f"{API}/model-versions/get-download-uri?name=Fetched&version=1").json()
    path = told["artifact_uri"].removeprefix("mlflow-artifacts:/").strip("/")
    listed = shared.get(f"/api/2.0/mlflow-artifacts/artifacts?path={quote(path)}").json()["files"]
    description = shared.get(f"/api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel")

    assert {"MLmodel", "model.pkl", "requirements.txt"} <= {f["path"] for f in listed}
    assert b"python_function" in description.body
    assert description.headers["x-content-type-options"] == "nosniff"


def test_a_run_over_the_wire_is_found_again(shared: Server) -> None:
    made = shared.post(f"{API}/experiments/create", {"name": "wire"}).json()
    run = shared.post(
        f"{API}/runs/create", {"experiment_id": made["experiment_id"], "start_time": 1}
    ).json()["run"]["info"]["run_id"]
    batch = {
        "run_id": run,
        "metrics": [{"key": "loss", "value": 0.5, "timestamp": 1, "step": "2"}],
        "params": [{"key": "depth", "value": "3"}],
        "tags": [{"key": "by", "value": "wire"}],
    }
    assert shared.post(f"{API}/runs/log-batch", batch).status == 200

    asked = {"experiment_ids": [made["experiment_id"]], "filter": "metrics.loss < 1"}
    found = shared.post(f"{API}/runs/search", asked).json()["runs"]
    same: Reply = shared.get(f"/ajax-api/2.0/mlflow/runs/get?run_id={run}")

    assert [r["info"]["run_id"] for r in found] == [run]
    assert same.json()["run"]["data"]["metrics"][0]["value"] == 0.5


def test_errors_have_the_shape_that_mlflow_clients_read(shared: Server) -> None:
    missing = shared.get(f"{API}/registered-models/get?name=Nobody")
    invalid = shared.transition("Nobody", 1, "Heaven")
    nowhere = shared.get(f"{API}/nothing/here")

    assert missing.status == nowhere.status == 404
    assert missing.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert missing.json()["message"].startswith("Registered Model with name=Nobody not found")
    assert invalid.status == 400
    assert invalid.json()["error_code"] == "INVALID_PARAMETER_VALUE"
