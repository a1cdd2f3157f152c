"""Ways to move artifacts past this server, which it does not offer: a client falls back to PUT.

MLflow's client asks for them when it is told to split large files, or to use signed URLs of a
bucket; on 501 it sends the file through the proxy.
"""

from typing import NoReturn

from litestar import get, post

from gateway.auth.policy import Permission
from tracking.errors import NotImplementedHere

_PROXY = "/api/2.0/mlflow-artifacts"
_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}


@post(
    [f"{_PROXY}/mpu/{step}/{{path:path}}" for step in ("create", "complete", "abort")],
    status_code=200,
    sync_to_thread=False,
    opt=_LOG,
)
def upload_in_parts() -> None:
    """Refuse an upload in parts."""
    _refuse("uploads in parts")


@get(f"{_PROXY}/presigned/{{path:path}}", sync_to_thread=False, opt=_READ)
def presign_proxied() -> None:
    """Refuse a signed URL."""
    _refuse("signed URLs")


@post(
    "/api/2.0/mlflow/artifacts/presigned-upload-url",
    status_code=200,
    sync_to_thread=False,
    opt=_LOG,
)
def presign_upload() -> None:
    """Refuse a signed URL to upload to."""
    _refuse("signed URLs")


@post(
    "/api/2.0/mlflow/artifacts/presigned-download-url",
    status_code=200,
    sync_to_thread=False,
    opt=_READ,
)
def presign_download() -> None:
    """Refuse a signed URL to download from."""
    _refuse("signed URLs")


def _refuse(what: str) -> NoReturn:
    raise NotImplementedHere(
        f"This server offers no {what}. PUT and GET {_PROXY}/artifacts/<path> take any size."
    )


HANDLERS = [upload_in_parts, presign_proxied, presign_upload, presign_download]
