"""Artifacts: of runs by their run's root, and the proxy through which clients keep them here.

Handlers run in the thread pool. An upload runs on the event loop and hands its pieces to a thread
of its own kind, so that slow uploads never take the threads of other requests; nothing is visible
before all of it is on the disk.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import anyio
from anyio import from_thread, to_thread
from litestar import Response, delete, get, put
from litestar.params import FromQuery
from litestar.response import Stream

from gateway.api.dependencies import Artifacts, Sealed, Tracking
from gateway.api.mlflow.artifact_answers import AnyRequest, list_beneath, send_artifact
from gateway.auth.policy import Permission
from tracking.artifacts import ArtifactStore
from tracking.errors import ResourceConflict
from tracking.paths import check_folder, parse_path
from tracking.wire import ArtifactListing, FolderListing, Nothing

_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}
_MARK = "/mlflow-artifacts/artifacts/"
_MOST_UPLOADS = 32


@get("/api/2.0/mlflow/artifacts/list", sync_to_thread=True, opt=_READ)
def list_run_artifacts(
    tracking: Tracking,
    artifacts: Artifacts,
    run_id: FromQuery[str] = "",
    run_uuid: FromQuery[str] = "",
    path: FromQuery[str] = "",
) -> ArtifactListing:
    """Return what is directly in a folder of a run, by paths from the run's root."""
    return list_beneath(artifacts, tracking.run(run_id or run_uuid).info.artifact_uri, path)


@get(_PROXY, sync_to_thread=True, opt=_READ)
def list_folder(artifacts: Artifacts, path: FromQuery[str] = "") -> FolderListing:
    """Return what is directly in a folder, by base name; nothing for a file or no folder."""
    return FolderListing(files=artifacts.list(check_folder(path)))


@get(f"{_PROXY}/{{path:path}}", sync_to_thread=True, opt=_READ)
def download_artifact(request: AnyRequest, artifacts: Artifacts) -> Stream | Response[bytes]:
    """Send a file, for keeping and not for showing."""
    return send_artifact(request, artifacts, _asked(request))


@put(f"{_PROXY}/{{path:path}}", status_code=200, opt=_LOG, request_max_body_size=None)
async def upload_artifact(
    request: AnyRequest, artifacts: Artifacts, sealed: Sealed
) -> Response[bytes]:
    """Keep the body as a file, whole or not at all."""
    keep = partial(_keep, artifacts, sealed, _asked(request), request.stream())
    await to_thread.run_sync(keep, limiter=_uploads(request))
    return Response(b"", status_code=200)


@delete(f"{_PROXY}/{{path:path}}", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_artifact(request: AnyRequest, artifacts: Artifacts, sealed: Sealed) -> Nothing:
    """Remove a file, or a folder with all that is in it."""
    asked = _asked(request)
    require_open(asked, sealed)
    artifacts.delete(asked)
    return Nothing()


def _asked(request: AnyRequest) -> str:
    """Return the path that was asked for, from the bytes as they came.

    Routing has merged slashes and decoded escapes; the one path function must see them.
    """
    raw: bytes = request.scope["raw_path"]
    return parse_path(raw.decode("latin-1").partition(_MARK)[2])


def require_open(path: str, sealed: Callable[[str], bool]) -> None:
    """Check that a path may be written to.

    Raises:
        ResourceConflict: A version that is sealed has it.
    """
    if sealed(path):
        raise ResourceConflict(
            f"The path {path!r} is sealed: a registered version refers to it. Use another path,"
            " or delete the version first."
        )


def _keep(
    artifacts: ArtifactStore, sealed: Callable[[str], bool], path: str, body: AsyncIterator[bytes]
) -> None:
    require_open(path, sealed)
    artifacts.put(path, _pieces(body))


def _pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Fetch the pieces of a body from the event loop, one when the last is written."""
    while (piece := from_thread.run(_next_piece, body)) is not None:
        yield piece


async def _next_piece(body: AsyncIterator[bytes]) -> bytes | None:
    return await anext(body, None)


def _uploads(request: AnyRequest) -> anyio.CapacityLimiter:
    """Return the limit of uploads at a time, made on the loop that it belongs to."""
    state = request.app.state
    if "uploads" not in state:
        state["uploads"] = anyio.CapacityLimiter(_MOST_UPLOADS)
    limiter: anyio.CapacityLimiter = state["uploads"]
    return limiter


HANDLERS = [
    list_run_artifacts,
    list_folder,
    download_artifact,
    upload_artifact,
    delete_artifact,
]
