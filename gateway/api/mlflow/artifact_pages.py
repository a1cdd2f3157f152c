"""Artifacts as MLflow's pages ask for them: by run, version or logged model, and a small upload.

Thin: find where the files lie, then ``artifact_answers``. Handlers run in the thread pool, but for
the upload, which reads its body on the event loop.
"""

from anyio import to_thread
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from gateway.api.dependencies import Artifacts, Registry, Sealed, Tracking
from gateway.api.mlflow.artifact_answers import AnyRequest, send_artifact
from gateway.api.mlflow.artifacts import require_open
from gateway.auth.policy import Permission
from tracking.errors import InvalidRequest
from tracking.paths import check_path, join_path, proxied_path
from tracking.wire import Nothing

_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}
_MOST_UPLOADED_BYTES = 10 * 1024 * 1024


@get("/get-artifact", sync_to_thread=True, opt=_READ)
def send_run_artifact(
    request: AnyRequest,
    tracking: Tracking,
    artifacts: Artifacts,
    path: FromQuery[str],
    *,
    run_id: FromQuery[str] = "",
    run_uuid: FromQuery[str] = "",
) -> Stream | Response[bytes]:
    """Send a file of a run."""
    root = tracking.run(run_id or run_uuid).info.artifact_uri
    return send_artifact(request, artifacts, _beneath(root, path))


@get("/model-versions/get-artifact", sync_to_thread=True, opt=_READ)
def send_version_artifact(
    request: AnyRequest,
    registry: Registry,
    artifacts: Artifacts,
    path: FromQuery[str],
    *,
    name: FromQuery[str],
    version: FromQuery[str],
) -> Stream | Response[bytes]:
    """Send a file of a version."""
    root = registry.download_uri(name, version)
    return send_artifact(request, artifacts, _beneath(root, path))


@get("/api/2.0/mlflow/logged-models/{model_id:str}/artifacts/files", sync_to_thread=True, opt=_READ)
def send_logged_model_artifact(
    request: AnyRequest,
    tracking: Tracking,
    artifacts: Artifacts,
    model_id: FromPath[str],
    artifact_file_path: FromQuery[str],
) -> Stream | Response[bytes]:
    """Send a file of a logged model."""
    root = tracking.logged_model(model_id).info.artifact_uri
    return send_artifact(request, artifacts, _beneath(root, artifact_file_path))


@post("/api/2.0/mlflow/upload-artifact", status_code=200, opt=_LOG, request_max_body_size=None)
async def upload_run_artifact(
    request: AnyRequest,
    tracking: Tracking,
    artifacts: Artifacts,
    sealed: Sealed,
    path: FromQuery[str],
) -> Nothing:
    """Keep a small body as a file of the run that ``run_id``, or ``run_uuid``, names."""
    content = await _read_small(request)
    query = request.query_params
    run_id = query.get("run_id") or query.get("run_uuid") or ""

    def keep() -> None:
        root = tracking.run(run_id).info.artifact_uri
        target = _beneath(root, path)
        require_open(target, sealed)
        artifacts.put(target, content)

    await to_thread.run_sync(keep)
    return Nothing()


async def _read_small(request: AnyRequest) -> bytes:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > _MOST_UPLOADED_BYTES:
            raise InvalidRequest(
                "Artifact size is too large. Max size is 10MB. Upload it through"
                " mlflow-artifacts/artifacts."
            )
    if not content:
        raise InvalidRequest("Request must specify data. Send the file as the body.")
    return bytes(content)


def _beneath(root_uri: str, path: str) -> str:
    return join_path(proxied_path(root_uri), check_path(path))


HANDLERS = [
    send_run_artifact,
    send_version_artifact,
    send_logged_model_artifact,
    upload_run_artifact,
]
