"""Registered models and versions: names, stages, aliases, sources, searches, refusals."""

from typing import Any

from tests.interop.calls.recorder import Recorder

MODELS = "registered-models"
VERSIONS = "model-versions"
NAMES = {
    "empty": "", "slash": "a/b", "colon": "a:b", "unicode": "Modell ä 精 🎭", "spaces": "a b",
    "percent": "a%b", "at": "a@b", "dot": "a.b", "longest": "x" * 256,
}  # fmt: skip
ALIASES = [
    "champion",
    "latest",
    "Latest",
    "v1",
    "V12",
    "a b",
    "a-b_c",
    "ä",
    "",
    "x" * 255,
    "x" * 256,
    "a.b",
    "1",
]
STAGES = ["Staging", "production", "ARCHIVED", "None", "none", "Nonsense", "", None]
SOURCES = [
    "s3://bucket/model", "https://host/model", "gs://b/m", "/etc/passwd", "file:///etc", "relative",
    "s3://b/../c", "s3://b/%2e%2e/c", "models:/Other/1", "mlflow-artifacts:/0/x", "", "s3://b/m#x",
    "mlflow-artifacts:/../x", "mlflow-artifacts://host/0/x", "runs:/nobody/model",
]  # fmt: skip
MODEL_FILTERS = [
    "", "name = 'First'", "name != 'First'", "name LIKE 'F%'", "name ILIKE 'f%'", "name LIKE 'f%'",
    "tags.team = 'red'", "tags.team != 'red'", "tags.team LIKE 'r%'", "tags.team ILIKE 'R%'", "tag.team = 'red'",
    "tags.`odd key` = 'x'", "tags.`mlflow.prompt.is_prompt` != 'true'", "tags.`mlflow.prompt.is_prompt` = 'true'",
    "tags.`mlflow.prompt.is_prompt` = 'false'", "name = 'First' AND tags.team = 'red'",
    "name LIKE 'F%' and tags.`mlflow.prompt.is_prompt` != 'true'", "attributes.name = 'First'", "name > 'A'",
    "name = 5", "nothing = 'x'", "metrics.a > 1", "name IN ('First')", "name", "name = 'a' OR name = 'b'",
    "tags.team IS NULL", "tags.team > 'a'", "run_id = 'x'", "name NOT IN ('First')",
]  # fmt: skip
VERSION_FILTERS = [
    "", "name = 'First'", "name LIKE 'F%'", "name ILIKE 'f%'", "name IN ('First', 'x')", "name != 'First'",
    "version_number = 1", "version_number > 1", "version_number <= 2", "version_number = '1'",
    "version_number != 1 AND name = 'First'", "source_path = 's3://bucket/2'", "source_path LIKE 's3://%'",
    "source_path ILIKE 'S3://%'", "run_id = 'nobody'", "run_id IN ('nobody')", "tags.kind = 'good'",
    "tags.kind != 'good'", "tags.kind LIKE 'g%'", "tags.`mlflow.prompt.is_prompt` != 'true'", "version = 1",
    "current_stage = 'Production'", "name", "name = 'First' OR name = 'x'", "name > 'A'", "run_id LIKE 'x'",
    "version_number LIKE '1'", "source_path IN ('x')", "attributes.name = 'First'", "aliases = 'champion'",
    "name = 'First' AND tags.kind = 'good' AND version_number = 1", "name NOT IN ('First')", "tags.kind IS NULL",
]  # fmt: skip
MODEL_ORDERS = [["name"], ["name DESC"], ["timestamp"], ["last_updated_timestamp ASC"], ["creation_timestamp DESC"],
                ["name", "timestamp"], ["tags.a"], ["nothing"], ["name UP"], [""]]  # fmt: skip
VERSION_ORDERS = [["name"], ["name DESC", "version_number"], ["version_number DESC"], ["creation_timestamp"],
                  ["last_updated_timestamp DESC"], ["run_id"], ["nothing"], ["version_number UP"],
                  ["source_path"]]  # fmt: skip


def call_all(server: Recorder) -> None:
    """Call everything, in an order that later calls rely on."""
    _models(server)
    _versions(server)
    _stages(server)
    _aliases(server)
    _tags(server)
    _search(server)
    _end(server)


def _models(server: Recorder) -> None:
    tags = [{"key": "team", "value": "red"}, {"key": "odd key", "value": "x"}]
    body = {"name": "First", "description": "the first", "tags": tags}
    server.post("a model", f"{MODELS}/create", body)
    server.post("a model of a taken name", f"{MODELS}/create", {"name": "First"})
    server.post("a model without name", f"{MODELS}/create", {})
    for said, name in NAMES.items():
        server.post(f"a model's name: {said}", f"{MODELS}/create", {"name": name})
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    server.post("a prompt", f"{MODELS}/create", {"name": "Prompt", "tags": prompt})
    server.post("an empty description", f"{MODELS}/create", {"name": "Second", "description": ""})
    server.get("a model by name", f"{MODELS}/get", name="First")
    server.get("a model that is not there", f"{MODELS}/get", name="Nobody")
    server.get("a model by no name", f"{MODELS}/get")
    for name, asked in {
        "a new description": {"name": "First", "description": "again"},
        "a description of nobody": {"name": "Nobody", "description": "again"},
        "no description": {"name": "Second"},
    }.items():
        server.call(name, "PATCH", f"{MODELS}/update", json=asked)
    for name, rename in {
        "renaming a model": {"name": "Second", "new_name": "Renamed"},
        "renaming to the name of another": {"name": "Renamed", "new_name": "First"},
        "renaming to what is no name": {"name": "Renamed", "new_name": "a/b"},
        "renaming to no name": {"name": "Renamed"},
        "renaming nobody": {"name": "Nobody", "new_name": "X"},
    }.items():
        server.post(name, f"{MODELS}/rename", rename)


def _versions(server: Recorder) -> None:
    made = server.post(
        "a run to register of",
        "runs/create",
        {"experiment_id": "0", "run_name": "s", "start_time": 9},
    )
    run = made["run"]["info"]["run_id"]
    for number in (1, 2, 3):
        body = {"name": "First", "source": f"s3://bucket/{number}", "description": f"no {number}",
                "tags": [{"key": "kind", "value": "good" if number == 1 else "bad"}]}  # fmt: skip
        server.post(f"version {number}", f"{VERSIONS}/create", body)
    of_run = {
        "name": "First",
        "source": f"runs:/{run}/model",
        "run_id": run,
        "run_link": "http://x",
    }
    server.post("a version of a run", f"{VERSIONS}/create", of_run)
    server.get("where that is", f"{VERSIONS}/get-download-uri", name="First", version="4")
    wrong = {**of_run, "run_id": "f" * 32}
    server.post("a version of another run", f"{VERSIONS}/create", wrong)
    server.post("a model to throw away", f"{MODELS}/create", {"name": "Scrap"})
    for source in SOURCES:
        asked = {"name": "Scrap", "source": source}
        server.post(f"a version from {source!r}", f"{VERSIONS}/create", asked)
    server.call("throwing it away", "DELETE", f"{MODELS}/delete", json={"name": "Scrap"})
    server.post(
        "a version elsewhere", f"{VERSIONS}/create", {"name": "Renamed", "source": "gs://b/m"}
    )
    server.post(
        "a version of nobody", f"{VERSIONS}/create", {"name": "Nobody", "source": "s3://b/m"}
    )
    server.post("a version of nothing", f"{VERSIONS}/create", {"name": "First"})
    server.post("a version without model", f"{VERSIONS}/create", {"source": "s3://b/m"})
    for version in ("1", "99", "x", "0", "-1", ""):
        server.get(
            f"version {version!r} by number", f"{VERSIONS}/get", name="First", version=version
        )
    server.get("a version without number", f"{VERSIONS}/get", name="First")
    server.get("a version of a model that is not there", f"{VERSIONS}/get", name="No", version="1")
    server.get("where a version is", f"{VERSIONS}/get-download-uri", name="First", version="2")
    server.get("where none is", f"{VERSIONS}/get-download-uri", name="First", version="99")
    server.get("a model with versions", f"{MODELS}/get", name="First")
    for name, change in {
        "a version's description": {"name": "First", "version": "2", "description": "new"},
        "a description of no version": {"name": "First", "version": "99", "description": "x"},
        "a version as a number": {"name": "First", "version": 2, "description": "x"},
    }.items():
        server.call(name, "PATCH", f"{VERSIONS}/update", json=change)


def _stages(server: Recorder) -> None:
    path = f"{VERSIONS}/transition-stage"
    for stage in STAGES:
        asked = {"name": "First", "version": "1", "stage": stage}
        server.post(f"version 1 to {stage!r}", path, asked)
    for version, stage, archive in [
        ("1", "Production", False), ("2", "Production", True), ("1", "Staging", True),
        ("3", "Archived", True), ("3", "None", True), ("99", "Staging", False), ("x", "Staging", False),
    ]:  # fmt: skip
        move = {"name": "First", "version": version, "stage": stage,
                "archive_existing_versions": archive}  # fmt: skip
        server.post(f"version {version} to {stage}, archiving: {archive}", path, move)
    server.post("a stage without version", path, {"name": "First", "stage": "Staging"})
    server.get("a model with stages", f"{MODELS}/get", name="First")
    latest = f"{MODELS}/get-latest-versions"
    server.post("the latest versions", latest, {"name": "First"})
    for stages in (["Production"], ["staging", "None"], ["Nonsense"], []):
        server.post(f"the latest of {stages}", latest, {"name": "First", "stages": stages})
    server.get("the latest by GET", latest, name="First", stages=["Production", "None"])
    server.post("the latest of nobody", latest, {"name": "Nobody"})
    server.post("the latest of no name", latest, {})


def _aliases(server: Recorder) -> None:
    path = f"{MODELS}/alias"
    for alias in ALIASES:
        server.post(
            f"the alias {alias[:9]!r} {len(alias)}",
            path,
            {"name": "First", "alias": alias, "version": "1"},
        )
    server.post("moving an alias", path, {"name": "First", "alias": "champion", "version": "2"})
    server.post("an alias to no version", path, {"name": "First", "alias": "c", "version": "99"})
    server.post("an alias of nobody", path, {"name": "Nobody", "alias": "c", "version": "1"})
    server.post("an alias without version", path, {"name": "First", "alias": "c"})
    server.get("a version by alias", path, name="First", alias="champion")
    server.get("a version by no alias", path, name="First", alias="never")
    server.get("a version of nobody by alias", path, name="Nobody", alias="champion")
    gone = {"name": "First", "alias": "a-b_c"}
    server.call("deleting an alias", "DELETE", path, json=gone)
    server.call("deleting an alias twice", "DELETE", path, json=gone)
    server.call("deleting an alias of nobody", "DELETE", path, json={**gone, "name": "Nobody"})
    server.get("a version with aliases", f"{VERSIONS}/get", name="First", version="2")


def _tags(server: Recorder) -> None:
    cases: dict[str, tuple[str, Any]] = {
        "plain": ("a", "1"), "longest key": ("k" * 250, "1"), "long key": ("k" * 251, "1"),
        "no key": ("", "1"), "empty value": ("e", ""), "no value": ("n", None),
        "longest value": ("l", "v" * 100_000), "long value": ("m", "v" * 100_001),
    }  # fmt: skip
    for said, (key, value) in cases.items():
        asked = {"name": "First", "key": key, "value": value}
        server.post(f"a model's tag: {said}", f"{MODELS}/set-tag", asked)
        server.post(f"a version's tag: {said}", f"{VERSIONS}/set-tag", {**asked, "version": "3"})
    for said, key in {"there": "a", "gone": "a", "long": "m", "longest": "l"}.items():
        asked = {"name": "First", "key": key}
        server.call(f"deleting a model's tag: {said}", "DELETE", f"{MODELS}/delete-tag", json=asked)
        server.call(f"deleting a version's tag: {said}", "DELETE", f"{VERSIONS}/delete-tag",
                    json={**asked, "version": "3"})  # fmt: skip
    for key in ("a*b!", "../a"):
        asked = {"name": "Renamed", "key": key, "value": "1"}
        server.post(f"a model's tag with the odd key {key}", f"{MODELS}/set-tag", asked)
        server.call(f"without the odd key {key}", "DELETE", f"{MODELS}/delete-tag", json=asked)
    server.post(
        "a tag of nobody", f"{MODELS}/set-tag", {"name": "Nobody", "key": "a", "value": "1"}
    )
    asked = {"name": "First", "version": "99", "key": "a", "value": "1"}
    server.post("a tag of no version", f"{VERSIONS}/set-tag", asked)


def _search(server: Recorder) -> None:
    for wanted in MODEL_FILTERS:
        server.get(f"models where {wanted}", f"{MODELS}/search", filter=wanted, order_by="name")
    for wanted in VERSION_FILTERS:
        server.get(f"versions where {wanted}", f"{VERSIONS}/search", filter=wanted,
                   order_by=["name", "version_number"])  # fmt: skip
    for order in MODEL_ORDERS:
        server.get(f"models by {order}", f"{MODELS}/search", order_by=order)
    for order in VERSION_ORDERS:
        server.get(
            f"versions by {order}", f"{VERSIONS}/search", order_by=order, filter="name = 'First'"
        )
    _page(server)


def _page(server: Recorder) -> None:
    for path, most in [(MODELS, 1000), (MODELS, 1001), (VERSIONS, 200_000), (VERSIONS, 200_001)]:
        server.get(f"{path}: a page of {most}", f"{path}/search", max_results=most, order_by="name")
    for path in (MODELS, VERSIONS):
        for size in ("0", "-1", "x"):
            server.get(f"{path}: a page of {size}", f"{path}/search", max_results=size)
        token = ""
        for number in range(3):
            asked = {"max_results": 2, "order_by": "name"}
            found = server.get(
                f"{path}: page {number}", f"{path}/search", page_token=token, **asked
            )
            token = found.get("next_page_token", "none")
        server.get(f"{path}: after a bad token", f"{path}/search", page_token="nonsense")


def _end(server: Recorder) -> None:
    asked = {"name": "First", "version": "2"}
    server.call("deleting a version", "DELETE", f"{VERSIONS}/delete", json=asked)
    server.call("deleting a version twice", "DELETE", f"{VERSIONS}/delete", json=asked)
    server.get("the alias of a deleted version", f"{MODELS}/alias", name="First", alias="champion")
    again = {"name": "First", "source": "s3://bucket/5"}
    server.post("the number after a deletion", f"{VERSIONS}/create", again)
    server.call(
        "deleting the newest", "DELETE", f"{VERSIONS}/delete", json={**asked, "version": "5"}
    )
    server.post("the number after that", f"{VERSIONS}/create", again)
    server.get("a model after deletions", f"{MODELS}/get", name="First")
    server.call("deleting a model", "DELETE", f"{MODELS}/delete", json={"name": "First"})
    server.call("deleting a model twice", "DELETE", f"{MODELS}/delete", json={"name": "First"})
    server.get("versions of a deleted model", f"{VERSIONS}/search", filter="name = 'First'")
