"""Other servers, each in an environment of its own and set up as its documentation advises.

``make peers-env`` makes the environments. One model a server, trained and pickled by us with the
same scikit-learn; what each adds to a body and takes off an answer stands here too.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import joblib
from msgspec import Struct

import stagedoor
from loadtests.models import Encode, Specimen, as_scoring, read_scoring
from stagedoor.demo.server_process import HOST, free_port

ENVIRONMENTS = Path(__file__).parents[1] / ".venvs"
_SERVERS = Path(__file__).parent / "peer_servers"
_START_TIMEOUT_S = 120.0
_LOOK_EVERY_S = 0.2


class Peer(Struct, frozen=True):
    """One other server.

    Args:
        name: Of its package, and of its environment.
        arguments: What follows the interpreter, given the model, its folder, a port and workers.
        path: Where rows are sent.
        encode: Writes a body.
        read: Reads an answer.
    """

    name: str
    arguments: Callable[["Serving"], list[str]]
    path: str
    encode: Encode
    read: Callable[[Any], list[float]]

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return ENVIRONMENTS / self.name / "bin" / "python"


class Serving(Struct, frozen=True):
    """What a peer is to serve, and how."""

    folder: Path
    port: int
    workers: int


def _mlflow(serving: Serving) -> list[str]:
    options = ["-p", str(serving.port), "-h", HOST, "--env-manager", "local"]
    workers = ["--workers", str(serving.workers)]
    return ["-m", "mlflow", "models", "serve", "-m", str(serving.folder), *options, *workers]


def _mlserver(serving: Serving) -> list[str]:
    """Write its settings; its parallel workers die with today's uvloop, so there is one process."""
    settings = {
        "host": HOST,
        "http_port": serving.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(serving.folder / "model.joblib"), "version": "v1"},
    }
    (serving.folder / "settings.json").write_text(json.dumps(settings))
    (serving.folder / "model-settings.json").write_text(json.dumps(model))
    return ["-c", "from mlserver.cli import main; main()", "start", str(serving.folder)]


def _bentoml(serving: Serving) -> list[str]:
    service = "bentoml_service:Service"
    return ["-m", "bentoml", "serve", service, "--host", HOST, "--port", str(serving.port)]


def _litserve(serving: Serving) -> list[str]:
    return [str(_SERVERS / "litserve_server.py"), str(serving.port), str(serving.workers)]


def _as_tensors(rows: list[list[float]], columns: list[str]) -> Any:
    if not columns:
        shape = [len(rows), len(rows[0])]
        flat = [number for row in rows for number in row]
        return {"inputs": [{"name": "x", "shape": shape, "datatype": "FP64", "data": flat}]}
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "FP64",
            "data": [row[at] for row in rows],
        }
        for at, name in enumerate(columns)
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def _read_tensors(answer: Any) -> list[float]:
    return [float(number) for number in answer["outputs"][0]["data"]]


def _as_rows(rows: list[list[float]], _columns: list[str]) -> Any:
    return {"rows": rows}


def _read_list(answer: Any) -> list[float]:
    return [float(number) for number in answer]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("mlflow", _mlflow, "/invocations", as_scoring, read_scoring),
        Peer("mlserver", _mlserver, "/v2/models/model/infer", _as_tensors, _read_tensors),
        Peer("bentoml", _bentoml, "/predict", _as_rows, _read_list),
        Peer("litserve", _litserve, "/predict", _as_rows, _read_list),
    )
}


def save(specimen: Specimen, folder: Path) -> None:
    """Save a model so that every peer can read it: as MLflow's folder, and as a pickle beside it.

    Args:
        specimen: The model.
        folder: A new one.
    """
    stagedoor.sklearn.save_model(specimen.model, folder, input_example=specimen.rows[:5])
    pickled = cloudpickle.dumps((specimen.model, specimen.columns))
    (folder / "specimen.pkl").write_bytes(pickled)
    joblib.dump(specimen.model, folder / "model.joblib")


@contextmanager
def running(peer: Peer, serving: Serving) -> Iterator[tuple[str, int]]:
    """Run a peer, until the end of the block; give its URL and the root of its processes.

    Raises:
        RuntimeError: It did not come up; the message names its log.
    """
    log = serving.folder / f"{peer.name}.log"
    environment = {
        "HOME": str(serving.folder),
        "PATH": f"{peer.python.parent}:/usr/bin:/bin",
        "PYTHONPATH": str(_SERVERS),
        "SPECIMEN": str(serving.folder / "specimen.pkl"),
        "WORKERS": str(serving.workers),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        "DO_NOT_TRACK": "1",
    }
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [peer.python, *peer.arguments(serving)],
            cwd=serving.folder,
            env=environment,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        url = f"http://{HOST}:{serving.port}{peer.path}"
        _wait_for(url, process, log)
        yield url, process.pid
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until it answers anything that its model could have part in."""
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < ends_at:
        try:
            answer = httpx.post(url, json={}, trust_env=False, timeout=10.0)
        except httpx.TransportError:
            time.sleep(_LOOK_EVERY_S)
            continue
        if answer.status_code not in {404, 503}:
            return
        time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"{url} did not come up; see {log}:\n{log.read_text()[-2000:]}")
