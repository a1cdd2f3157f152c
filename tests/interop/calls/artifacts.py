"""Artifacts through the proxy and by the pages' own URLs: listed, sent, refused."""

from tests.interop.calls.recorder import Recorder

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
FILES = {
    "a.txt": b"hello",
    "sub/b.json": b"{}",
    "sub/deep/c": b"\0\1",
    "empty": b"",
    "ü ä.html": b"<p>",
    "model/MLmodel": b"x: 1",
}
BAD_PATHS = [
    "../a.txt",
    "%2e%2e/a.txt",
    "%252e%252e/a",
    "a/../../b",
    "/etc/passwd",
    "C:/x",
    "a\\b",
    "a//b",
]


def call_all(server: Recorder) -> None:
    """Keep files of a run, and ask for them in every way."""
    info = server.post(
        "a run with files", "runs/create", {"experiment_id": "0", "run_name": "f", "start_time": 1}
    )["run"]["info"]
    run, root = info["run_id"], f"{PROXY}/0/{info['run_id']}/artifacts"
    for path, content in FILES.items():
        server.call(f"putting {path}", "PUT", f"{root}/{path}", content=content)
    for path in (*FILES, "nothing", "sub"):
        server.file(f"getting {path}", f"{root}/{path}")
        server.file(f"the page's {path}", f"/get-artifact?run_id={run}&path={path}")
    for asked in ("bytes=1-3", "bytes=2-", "bytes=-2", "bytes=9-", "bytes=0-99", "x"):
        server.file(f"the part {asked}", f"{root}/a.txt", {"Range": asked})
    for path in ("", "sub", "sub/deep", "nothing", "a.txt", "../..", "/etc", "%2e%2e"):
        folder = f"0/{run}/artifacts/{path}" if path and path[0] not in "./%" else path
        server.get(f"the proxy lists {path}", PROXY, path=folder)
        server.get(f"the run lists {path}", "artifacts/list", run_id=run, path=path)
    server.get("the run lists", "artifacts/list", run_id=run)
    server.get("no run lists", "artifacts/list", run_id="f" * 32)
    for path in BAD_PATHS:
        server.call(f"putting at {path}", "PUT", f"{PROXY}/{path}", content=b"x")
        server.get(f"the page's bad {path}", "/get-artifact", run_id=run, path=path)
    upload = "/ajax-api/2.0/mlflow/upload-artifact"
    server.call(
        "an upload of a page",
        "POST",
        upload,
        params={"run_uuid": run, "path": "up/x.txt"},
        content=b"up",
    )
    server.call(
        "an upload of nothing", "POST", upload, params={"run_uuid": run, "path": "e"}, content=b""
    )
    server.call("an upload to nowhere", "POST", upload, params={"run_uuid": run}, content=b"x")
    server.call(
        "a large upload",
        "POST",
        upload,
        params={"run_uuid": run, "path": "l"},
        content=b"x" * 10_485_761,
    )
    server.file("what was uploaded", f"{root}/up/x.txt")
    version = {"name": "Renamed", "source": f"runs:/{run}/model", "run_id": run}
    number = server.post("a version with files", "model-versions/create", version)["model_version"][
        "version"
    ]
    server.file(
        "a file of a version",
        f"/model-versions/get-artifact?name=Renamed&version={number}&path=MLmodel",
    )
    server.file(
        "no file of a version",
        f"/model-versions/get-artifact?name=Renamed&version={number}&path=no",
    )
    server.call("deleting a file", "DELETE", f"{root}/a.txt")
    server.call("deleting it again", "DELETE", f"{root}/a.txt")
    server.call("deleting a folder", "DELETE", f"{root}/sub")
    server.get("the run lists what is left", "artifacts/list", run_id=run)
    for step in ("create", "complete", "abort"):
        server.post(f"parts: {step}", f"/api/2.0/mlflow-artifacts/mpu/{step}/0/x/y", {"path": "0/x/y", "num_parts": 2,
                    "upload_id": "u", "parts": []})  # fmt: skip
    server.get("a signed URL", "/api/2.0/mlflow-artifacts/presigned/0/x/y")
