"""How artifacts are answered: a folder as a listing, bytes as a file to keep, whole or in part.

Called by the handlers that send artifacts, in the thread pool; the bytes are read piece by piece
while they are sent. Next hops: ``byte_range``, and the artifact store.
"""

from collections.abc import Iterator
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.response import Stream

from gateway.api.mlflow.byte_range import Part, find_part
from gateway.asgi import IS_PROBE
from tracking.artifacts import ArtifactStore, ServedArtifacts
from tracking.errors import InvalidRequest
from tracking.paths import check_folder, join_path, proxied_path
from tracking.wire import ArtifactListing

AnyRequest = Request[Any, Any, Any]

_PARTIAL = 206
_UNSATISFIABLE = 416
# A browser must neither show what a run has left behind nor run it in our name.
_GUARDED = {
    "Accept-Ranges": "bytes",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
}


def list_beneath(artifacts: ArtifactStore, root_uri: str, path: str) -> ArtifactListing:
    """Return what is directly in a folder beneath a root, by paths from the root.

    Raises:
        InvalidRequest: The path leaves the root.
        NotImplementedHere: The root is kept elsewhere.
    """
    folder = check_folder(path)
    entries = artifacts.list(join_path(proxied_path(root_uri), folder))
    # What the store has is told as it is: one odd name may not hide all others.
    prefix = f"{folder}/" if folder else ""
    files = [msgspec.structs.replace(entry, path=prefix + entry.path) for entry in entries]
    return ArtifactListing(root_uri=root_uri, files=files)


def send_artifact(
    request: AnyRequest, artifacts: ServedArtifacts, path: str
) -> Stream | Response[bytes]:
    """Answer a GET of the artifact at a checked path; one by HEAD without reading it.

    Raises:
        ResourceMissing: There is no such file.
    """
    size = artifacts.size(path)
    if IS_PROBE in request.scope["state"]:  # ranges are of GET alone
        return _stream(iter(()), path, {"Content-Length": str(size)})
    # No validators are given out, so that no If-Range can match: the whole is what it asks for.
    is_conditional = "if-range" in request.headers
    part = None if is_conditional else find_part(request.headers.get("range"), size)
    if part is None:
        return _stream(artifacts.get(path), path, {"Content-Length": str(size)})
    if part.length == 0:
        return _refuse(part, size)
    last = part.offset + part.length - 1
    headers = {
        "Content-Length": str(part.length),
        "Content-Range": f"bytes {part.offset}-{last}/{size}",
    }
    found = artifacts.get_part(path, offset=part.offset, length=part.length)
    return _stream(found, path, headers, status=_PARTIAL)


def _stream(
    content: Iterator[bytes], path: str, headers: dict[str, str], *, status: int = 200
) -> Stream:
    name = path.rpartition("/")[2]
    return Stream(
        content,
        status_code=status,
        media_type=guess_type(name)[0] or "application/octet-stream",
        headers={
            **_GUARDED,
            **headers,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        },
    )


def _refuse(part: Part, size: int) -> Response[bytes]:
    told = f"The file has {size} bytes, and none from {part.offset} on. Ask for less."
    body = {"error_code": InvalidRequest.code, "message": told}
    return Response(
        msgspec.json.encode(body),
        status_code=_UNSATISFIABLE,
        headers={**_GUARDED, "Content-Range": f"bytes */{size}"},
        media_type="application/json",
    )
