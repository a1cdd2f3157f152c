"""What this server can do, as MLflow's clients ask before they move artifacts."""

from litestar import get
from msgspec import Struct

from gateway.auth.policy import Permission


class ServerInfo(Struct, frozen=True):
    """The answer to server-info: each thing that a client could use if the server had it."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = False
    multipart_downloads_enabled: bool = False
    presigned_upload_run_id_supported: bool = False
    presigned_upload_model_id_supported: bool = False
    features_enabled: dict[str, bool] = {}


@get("/api/3.0/mlflow/server-info", sync_to_thread=False, opt={"permission": Permission.READ})
def server_info() -> ServerInfo:
    """Return what clients may use here."""
    return ServerInfo()


HANDLERS = [server_info]
