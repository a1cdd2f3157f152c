"""Logged models, as MLflow's clients ask for them: every ``log_model`` of a 3.x client is one.

Thin: decode, one call of the tracking store, return. Handlers run in the thread pool.
"""

from typing import Any
from urllib.parse import unquote

from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from gateway.api.dependencies import Artifacts, Tracking
from gateway.api.mlflow.artifact_answers import list_beneath
from gateway.auth.policy import Permission
from tracking.wire import ArtifactListing, Nothing
from tracking.wire_models import (
    CreateLoggedModel,
    FinalizeLoggedModel,
    LoggedModelAnswer,
    LoggedModelPage,
    LogModelParams,
    SearchLoggedModels,
    SetLoggedModelTags,
)

_PREFIX = "/api/2.0/mlflow/logged-models"
_ONE = f"{_PREFIX}/{{model_id:str}}"
_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}


@post(_PREFIX, status_code=200, sync_to_thread=True, opt=_LOG)
def create_logged_model(data: JSONBody[CreateLoggedModel], tracking: Tracking) -> LoggedModelAnswer:
    """Begin a logged model, whose files come next."""
    return LoggedModelAnswer(model=tracking.create_logged_model(data))


@get(_ONE, sync_to_thread=True, opt=_READ)
def logged_model(model_id: FromPath[str], tracking: Tracking) -> LoggedModelAnswer:
    """Return a logged model with its params, tags and metrics."""
    return LoggedModelAnswer(model=tracking.logged_model(model_id))


@patch(_ONE, sync_to_thread=True, opt=_LOG)
def finalize_logged_model(
    model_id: FromPath[str], data: JSONBody[FinalizeLoggedModel], tracking: Tracking
) -> LoggedModelAnswer:
    """Say whether the files of a logged model are all there."""
    return LoggedModelAnswer(model=tracking.finalize_logged_model(model_id, data.status))


@delete(_ONE, status_code=200, sync_to_thread=True, opt=_LOG)
def delete_logged_model(model_id: FromPath[str], tracking: Tracking) -> Nothing:
    """Mark a logged model deleted; its files stay."""
    tracking.delete_logged_model(model_id)
    return Nothing()


@post(f"{_PREFIX}/search", status_code=200, sync_to_thread=True, opt=_READ)
def search_logged_models(data: JSONBody[SearchLoggedModels], tracking: Tracking) -> LoggedModelPage:
    """Return one page of logged models."""
    return tracking.search_logged_models(data)


@post(f"{_ONE}/params", status_code=200, sync_to_thread=True, opt=_LOG)
def add_logged_model_params(
    model_id: FromPath[str], data: JSONBody[LogModelParams], tracking: Tracking
) -> Nothing:
    """Add params; each is written once."""
    tracking.add_logged_model_params(model_id, data.params)
    return Nothing()


@patch(f"{_ONE}/tags", sync_to_thread=True, opt=_LOG)
def set_logged_model_tags(
    model_id: FromPath[str], data: JSONBody[SetLoggedModelTags], tracking: Tracking
) -> LoggedModelAnswer:
    """Set or overwrite tags."""
    return LoggedModelAnswer(model=tracking.set_logged_model_tags(model_id, data.tags))


@delete(f"{_ONE}/tags/{{key:path}}", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_logged_model_tag(
    request: Request[Any, Any, Any], model_id: FromPath[str], tracking: Tracking
) -> Nothing:
    """Remove a tag; its key is read from the bytes as they came, because it may hold slashes."""
    raw: bytes = request.scope["raw_path"]
    key = unquote(raw.decode("latin-1").partition(f"/{model_id}/tags/")[2])
    tracking.delete_logged_model_tag(model_id, key)
    return Nothing()


@get(f"{_ONE}/artifacts/directories", sync_to_thread=True, opt=_READ)
def list_logged_model_artifacts(
    model_id: FromPath[str],
    tracking: Tracking,
    artifacts: Artifacts,
    artifact_directory_path: FromQuery[str] = "",
) -> ArtifactListing:
    """Return what is directly in a folder of a model, by paths from the model's root."""
    root_uri = tracking.logged_model(model_id).info.artifact_uri
    return list_beneath(artifacts, root_uri, artifact_directory_path)


HANDLERS = [
    create_logged_model,
    logged_model,
    finalize_logged_model,
    delete_logged_model,
    search_logged_models,
    add_logged_model_params,
    set_logged_model_tags,
    delete_logged_model_tag,
    list_logged_model_artifacts,
]
