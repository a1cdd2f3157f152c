"""Experiments: made, found, renamed, deleted, searched page by page, and refused."""

from tests.interop.calls.recorder import Recorder

FILTERS = [
    "name = 'beta'", "name != 'beta'", "name LIKE 'bet%'", "name LIKE 'BET%'", "name ILIKE 'BET%'",
    "attribute.name = 'alpha'", 'attr.name = "alpha"', "tags.team = 'red'", "tags.team != 'red'",
    "tag.team LIKE 'r%'", "tags.`odd key` = 'x'", "tags.\"odd key\" = 'x'", "creation_time > 0",
    "last_update_time >= 0", "creation_time < 0", "name = 'beta' AND tags.team = 'blue'",
    "name = 'beta' and tags.team = 'red'", "tags.team IS NULL", "tags.team IS NOT NULL",
    "experiment_id = '1'", "experiment_id IN ('1', '2')", "name = 'it''s'", "name = 5",
    "creation_time > 'x'", "metrics.a > 1", "params.a = 'x'", "nothing = 'x'", "name", "name =",
    "name = 'a' OR name = 'b'", "name ~ 'x'", "name IN ('alpha', 'beta')", "AND", "tags.team > 'a'",
    "name NOT IN ('alpha')", "name LIKE 5", "(name = 'a')", "name = alpha", "name = 'alpha",
]  # fmt: skip
ORDERS = [
    ["name"], ["name ASC"], ["name DESC"], ["attribute.name desc"], ["creation_time"],
    ["experiment_id DESC"], ["experiment_id"], ["last_update_time ASC", "name"], ["tags.team"],
    ["nothing"], ["name DOWN"], ["name ASC DESC"], [""],
]  # fmt: skip
NAMES = {"empty": "", "longest": "x" * 500, "too long": "x" * 501, "unicode": "Ünï — 実験 🎭",
         "with a slash": "a/b", "space": " ", "with a line": "a\nb"}  # fmt: skip


def call_all(server: Recorder) -> None:
    """Call everything, in an order that later calls rely on."""
    _make(server)
    _refuse(server)
    _change(server)
    for wanted in FILTERS:
        _search(server, f"experiments where {wanted}", filter=wanted, order_by=["name"])
    for order in ORDERS:
        _search(server, f"experiments by {order}", order_by=order)
    _page(server)


def _make(server: Recorder) -> None:
    server.get("the default experiment", "experiments/get", experiment_id="0")
    server.get("an experiment by no name", "experiments/get-by-name", experiment_name="nobody")
    tags = [{"key": "team", "value": "red"}, {"key": "odd key", "value": "x"}]
    server.post("an experiment with tags", "experiments/create", {"name": "alpha", "tags": tags})
    for name in ("beta", "gamma", "it's"):
        server.post(f"experiment {name}", "experiments/create", {"name": name})
    blue = {"experiment_id": "2", "key": "team", "value": "blue"}
    server.post("an experiment's tag", "experiments/set-experiment-tag", blue)
    server.get("an experiment by name", "experiments/get-by-name", experiment_name="alpha")
    for said, name in NAMES.items():
        server.post(f"an experiment's name: {said}", "experiments/create", {"name": name})
    for place in ("s3://bucket/a", "mlflow-artifacts:/my/place", "s3://b#x"):
        body = {"name": f"at {place}", "artifact_location": place}
        server.post(f"an experiment at {place}", "experiments/create", body)


def _refuse(server: Recorder) -> None:
    server.post("a taken name", "experiments/create", {"name": "alpha"})
    server.post("an experiment without a name", "experiments/create", {})
    server.get("no experiment's id", "experiments/get")
    server.get("an id that is not there", "experiments/get", experiment_id="999")
    server.get("an id that is no number", "experiments/get", experiment_id="abc")
    for path in ("delete", "restore"):
        server.post(f"experiments/{path} of none", f"experiments/{path}", {"experiment_id": "999"})
        server.post(f"experiments/{path} without id", f"experiments/{path}", {})
    bad = {"experiment_id": "999", "key": "a", "value": "b"}
    server.post("a tag of no experiment", "experiments/set-experiment-tag", bad)
    for said, key, value in [
        ("long key", "k" * 251, "v"), ("longest key", "k" * 250, "v"), ("no key", "", "v"),
        ("long value", "long", "v" * 20_001), ("longest value", "longest", "v" * 20_000),
        ("odd key", "a!b", "v"), ("path key", "../a", "v"), ("empty value", "empty", ""),
    ]:  # fmt: skip
        body = {"experiment_id": "3", "key": key, "value": value}
        server.post(f"an experiment's tag: {said}", "experiments/set-experiment-tag", body)
    body = {"experiment_id": "3", "key": "never"}
    server.post("deleting a tag that is not there", "experiments/delete-experiment-tag", body)
    server.post(
        "deleting a tag",
        "experiments/delete-experiment-tag",
        {"experiment_id": "3", "key": "empty"},
    )


def _change(server: Recorder) -> None:
    body = {"experiment_id": "3", "new_name": "delta"}
    server.post("renaming an experiment", "experiments/update", body)
    server.post("renaming to a taken name", "experiments/update", {**body, "new_name": "alpha"})
    server.post("renaming to nothing", "experiments/update", {"experiment_id": "3"})
    server.post("deleting an experiment", "experiments/delete", {"experiment_id": "3"})
    server.get("a deleted experiment", "experiments/get", experiment_id="3")
    server.post("deleting twice", "experiments/delete", {"experiment_id": "3"})
    server.post("renaming a deleted one", "experiments/update", body)
    tag = {"experiment_id": "3", "key": "a", "value": "b"}
    server.post("tagging a deleted one", "experiments/set-experiment-tag", tag)
    server.post("a run in a deleted one", "runs/create", {"experiment_id": "3"})
    server.post("the name of a deleted one", "experiments/create", {"name": "delta"})
    for view in ("DELETED_ONLY", "ALL", "ACTIVE_ONLY", "NONSENSE"):
        _search(server, f"experiments in view {view}", view_type=view, order_by=["name"])
    server.post("restoring an experiment", "experiments/restore", {"experiment_id": "3"})
    server.post("restoring twice", "experiments/restore", {"experiment_id": "3"})


def _page(server: Recorder) -> None:
    for most in (0, -1, 50_000, 50_001, "3", "x", 2.5):
        _search(server, f"a page of {most} experiments", max_results=most, order_by=["name"])
    server.post("experiments without max_results", "experiments/search", {})
    server.get("experiments by GET", "experiments/search", max_results=2, order_by="name")
    found = _search(server, "page 0 of experiments", max_results=5, order_by=["name"])
    for number in range(1, 4):
        token = found.get("next_page_token", "none")
        found = _search(
            server,
            f"page {number} of experiments",
            max_results=5,
            order_by=["name"],
            page_token=token,
        )
    _search(server, "experiments after a bad token", page_token="nonsense")


def _search(server: Recorder, name: str, **asked: object) -> dict[str, object]:
    return server.post(name, "experiments/search", {"max_results": 1000, **asked})
