"""Where a new version comes from: its source, held against the run or model that must have it.

``check_origin`` is pure. ``find_origin`` looks up what a source names, in the transaction that adds
the version: so that a version never leads to files of a run or model which its request leaves out.
Versions that are brought over (``transfer``) have their files placed by us, and do not pass here.
"""

from typing import Any, assert_never
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from registry.limits import parse_version
from registry.references import ByAlias, ByNumber, ByStage, Latest, Live, ModelUri, parse_model_uri
from registry.routes import missing_model
from registry.schema import model_alias, model_version, registered_model, registered_model_tag
from registry.search import PROMPT_TAG
from registry.sources import PROXY_SCHEME, check_source, find_storage, is_model_id
from registry.webhook_events import is_prompt_of
from registry.wire import CreateVersion
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.schema import runs
from tracking.sql_logged_models import row_of

_PLACEHOLDERS = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients send as the source of a prompt's version, which has no files."""

_OURS = frozenset({"runs", "models", PROXY_SCHEME})
"""Schemes of what this server itself keeps, and no other one."""


class Origin(Struct, frozen=True):
    """What a version comes from. Immutable.

    Args:
        source: To be recorded: as it was sent, but of a copied version always by its number.
        run_id: The run, if there is one.
        model_id: The logged model, if there is one.
        storage: The folder of the files beneath our artifact root, or none.
    """

    source: str
    run_id: str | None
    model_id: str | None
    storage: str | None


def check_origin(request: CreateVersion) -> None:
    """Check all of a source that can be told without looking anything up.

    Raises:
        InvalidRequest: It names no place, leaves its root, or names a run or model that the request
            does not; or it is that of a prompt and the version is none, or the other way round.
    """
    source = request.source
    if is_prompt_of(request.tags) != (source in _PLACEHOLDERS):
        raise _refused(source, "'dummy-source' is that of prompts, and prompts have no other")
    if source in _PLACEHOLDERS:
        return
    check_source(source, request.run_id, request.model_id)
    parts = urlsplit(source)
    if not _is_absolute(parts.path):
        raise _refused(source, "it names no place in a store: a path must follow the store's name")
    if parts.scheme in _OURS and parts.netloc:
        raise _refused(source, f"{parts.scheme}: is of this server, and no host is named")
    if parts.scheme == "runs" and (request.model_id or not request.run_id):
        raise _refused(source, "send the run_id that it names, and no model_id")


def find_origin(connection: Connection, request: CreateVersion) -> Origin:
    """Return what a version comes from.

    Args:
        connection: In the transaction that adds the version.
        request: One that ``check_origin`` let through.

    Raises:
        InvalidRequest: The run or model of the request does not have the source.
        ResourceMissing: There is no such version, logged model or registered model.
    """
    source, run_id, model_id = request.source, request.run_id or None, request.model_id or None
    parts = urlsplit(source)
    is_logged = is_model_id(parts.path) and "/" not in parts.path.strip("/")
    if parts.scheme == "models" and not is_logged:
        return _copied(connection, request)
    made_by = row_of(connection, model_id) if model_id else None
    storage = None if source in _PLACEHOLDERS else find_storage(connection, source)
    if parts.scheme == PROXY_SCHEME:
        root = made_by.artifact_uri if made_by else _root_of_run(connection, run_id)
        if not _is_beneath(storage, root and find_storage(connection, root)):
            owner = f"model_id {model_id!r}" if model_id else f"run_id {run_id!r}"
            raise _refused(source, f"it is not beneath the artifacts of {owner}; send whose it is")
    return Origin(
        source=source,
        run_id=run_id or (made_by.source_run_id if made_by else None) or None,
        model_id=model_id,
        storage=storage,
    )


def find_copied(source: str) -> tuple[str, int] | None:
    """Return the model and number of the version that a recorded source names, if it names one."""
    scheme, _, rest = source.partition(":/")
    model, _, number = rest.rpartition("/")
    if scheme != "models" or not model or not (number.isascii() and number.isdecimal()):
        return None
    return (model, int(number)) if len(number) <= 9 else None  # noqa: PLR2004 - as ``limits`` has it


def _copied(connection: Connection, request: CreateVersion) -> Origin:
    """Return the origin of a copy: its files, run and logged model are those of the first."""
    uri = parse_model_uri(f"models:{request.source.partition(':')[2]}")
    row = _named_version(connection, uri, request.source)
    claims = ((request.run_id, row.run_id), (request.model_id, row.model_id))
    if any(said is not None and said != (known or "") for said, known in claims):
        raise _refused(request.source, "run_id and model_id must be those of that version")
    return Origin(f"models:/{row.model}/{row.version}", row.run_id, row.model_id, row.storage)


def _named_version(connection: Connection, uri: ModelUri, source: str) -> Row[Any]:
    there = select(registered_model.c.name).where(registered_model.c.name == uri.name)
    if connection.execute(there).first() is None:
        raise missing_model(uri.name)
    tag = registered_model_tag.c
    told = select(registered_model_tag).where(tag.model == uri.name, tag.key == PROMPT_TAG)
    if any(row.value.lower() == "true" for row in connection.execute(told)):
        raise _refused(source, "a version of a prompt has no files to copy")
    table = model_version.c
    found = select(model_version).where(table.model == uri.name, *_conditions(uri))
    row = connection.execute(found.order_by(table.version.desc())).first()
    if row is None and isinstance(uri.ref, ByAlias):
        raise InvalidRequest(f"Registered model alias {uri.ref.alias} not found.")
    if row is None:
        raise ResourceMissing(f"Model Version {source!r} not found. Name one that is there.")
    return row


def _conditions(uri: ModelUri) -> list[Any]:
    match uri.ref:
        case ByNumber(version=version):
            return [model_version.c.version == parse_version(str(version))]
        case ByStage(stage=stage):
            return [model_version.c.stage == stage]
        case ByAlias(alias=alias):
            of = (model_alias.c.model == uri.name, model_alias.c.alias == alias)
            pointed = select(model_alias.c.version).where(*of).scalar_subquery()
            return [model_version.c.version == pointed]
        case Latest() | Live():
            return []
        case _:
            assert_never(uri.ref)


def _root_of_run(connection: Connection, run_id: str | None) -> str | None:
    if run_id is None:
        return None
    root: str | None = connection.execute(
        select(runs.c.artifact_uri).where(runs.c.run_id == run_id)
    ).scalar()
    return root


def _is_beneath(storage: str | None, root: str | None) -> bool:
    """Return whether a folder beneath our artifact root is another one, or in it."""
    return bool(storage and root) and f"{storage}/".startswith(f"{root}/")


def _is_absolute(path: str) -> bool:
    """Return whether a path has a root, at least one name, and none that walks."""
    names = [name for name in _unquoted(path).split("/") if name]
    return path.startswith("/") and bool(names) and not {".", ".."}.intersection(names)


def _unquoted(text: str) -> str:
    """Return a text of which nothing is quoted any more, however often it was."""
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _refused(source: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid model version source: {source!r}: {why}.")
