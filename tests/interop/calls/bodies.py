"""What a request may look like: content types, shapes of JSON, methods, paths."""

from typing import Any

from tests.interop.calls.recorder import API, Recorder

JSON = {"Content-Type": "application/json"}
TYPES = ["application/json", "application/json; charset=utf-8", "text/plain", "application/xml", ""]
BODIES = {
    "no JSON": b"{", "a list": b"[]", "a number": b"5", "null": b"null", "nothing": b"", "a text": b'"x"',
    "JSON in JSON": b'"{\\"name\\": \\"inner\\"}"', "bare NaN": b'{"name": "nan", "x": NaN}', "no UTF-8": b'{"name": "\xff"}',
    "null fields": b'{"name": "nulls", "tags": null}', "unknown fields": b'{"name": "extra", "colour": 5}',
    "a number for a name": b'{"name": 5}', "a list for a name": b'{"name": ["x"]}', "an object for tags": b'{"name": "o", "tags": {}}',
    "texts for tags": b'{"name": "p", "tags": ["x"]}', "a name twice": b'{"name": "q", "name": "r"}',
    "a tag without value": b'{"name": "s", "tags": [{"key": "a"}]}',
    "half a pair": b'{"name": "a\\ud800b"}', "a bool for a name": b'{"name": true}', "a tag of a number": b'{"name": "u", "tags": [{"key": "a", "value": 5}]}',
    "a NUL": b'{"name": "a\\u0000b"}',
}  # fmt: skip
ODD: list[tuple[str, str, Any]] = [
    ("GET", f"{API}/nothing/here", None), ("GET", f"{API}/experiments/create", None), ("POST", f"{API}/experiments/get", {}),
    ("PUT", f"{API}/runs/create", {}), ("DELETE", f"{API}/runs/create", None), ("GET", "/api/3.0/mlflow/nothing", None),
    ("GET", "/api/2.0/preview/mlflow/experiments/get?experiment_id=0", None),
    ("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", None),
    ("GET", "/ajax-api/2.0/preview/mlflow/experiments/get?experiment_id=0", None), ("GET", "/health", None),
    ("GET", "/version", None), ("POST", "/api/2.0/preview/mlflow/experiments/search", {"max_results": 1}),
    ("POST", f"{API}/registered-models/update", {"name": "x"}), ("GET", f"{API}/runs/search", None),
]  # fmt: skip


def call_all(server: Recorder) -> None:
    """Send what clients should not, and what they may."""
    for number, kind in enumerate(TYPES):
        body = f'{{"name": "typed {number}"}}'.encode()
        server.call(
            f"content type {kind!r}",
            "POST",
            "experiments/create",
            content=body,
            headers={"Content-Type": kind},
        )
    server.call("no content type", "POST", "experiments/create", content=b'{"name": "untyped"}')
    for said, body in BODIES.items():
        server.call(f"a body with {said}", "POST", "experiments/create", content=body, headers=JSON)
    for method, path, content in ODD:
        server.call(
            f"{method} {path}", method, path, **({} if content is None else {"json": content})
        )
    run = server.post(
        "a run for odd bodies",
        "runs/create",
        {"experiment_id": "0", "run_name": "b", "start_time": 1},
    )["run"]["info"]["run_id"]
    for token in ("NaN", "Infinity", "-Infinity", "1E5", "01", "1e999", "-0"):
        text = f'{{"run_id": "{run}", "key": "bare {token.lower()}", "value": {token}, "timestamp": 1}}'
        server.call(
            f"a bare {token}", "POST", "runs/log-metric", content=text.encode(), headers=JSON
        )
    server.get("the run of odd bodies", "runs/get", run_id=run)
    large = {"run_id": run, "tags": [{"key": f"t{n}", "value": "v" * 8_000} for n in range(100)],
             "params": [{"key": f"p{n}", "value": "v" * 6_000} for n in range(50)]}  # fmt: skip
    server.post("a batch over 1 MB", "runs/log-batch", large)
    server.get("a query of a wrong type", "experiments/search", max_results="x")
    server.get("a query that is unknown", "experiments/get", experiment_id="0", colour="red")
    server.get("a query given twice", "experiments/get", experiment_id=["0", "1"])
