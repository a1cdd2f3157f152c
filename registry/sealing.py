"""Sealing a version: every file hashed, the digest written, and its folder closed to writes.

Called once after a version is created, by whoever holds both the database and the artifacts. A
version that is not sealed has no digest and enters no route.
"""

import hashlib
from collections.abc import Mapping

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select, update

from registry.changes import ChangeKind, record_change
from registry.digest import FileDigest, Manifest, build_manifest, digest
from registry.model_folder import MLMODEL
from registry.route import VersionKey
from registry.schema import model_version
from tracking.artifacts import ArtifactStore
from tracking.clock import now_ms
from tracking.database import Database
from tracking.errors import StagedoorError

_RUNS = "runs:/"


def seal_version(database: Database, artifacts: ArtifactStore, model: str, version: int) -> None:
    """Hash a version's files and seal it; without files, write down why it cannot be served."""
    with database.read() as connection:
        row = connection.execute(
            select(model_version.c.storage, model_version.c.source, model_version.c.digest).where(
                model_version.c.model == model, model_version.c.version == version
            )
        ).one_or_none()
    if row is None or row.digest is not None:
        return
    try:
        manifest = _hash_files(artifacts, row.storage)
    except StagedoorError as problem:
        values: dict[str, str | None] = {
            "seal_problem": f"no files could be read: {problem.message}"
        }
    else:
        values = _sealed_values(manifest, row.source)

    def work(connection: Connection) -> None:
        of = (model_version.c.model == model, model_version.c.version == version)
        connection.execute(update(model_version).where(*of).values(**values))
        record_change(connection, ChangeKind.VERSION, model, now_ms=now_ms())

    database.write(work)


def is_sealed(connection: Connection, path: str) -> bool:
    """Return whether a path lies within, or above, the folder of a sealed version."""
    found = select(model_version.c.version).where(
        model_version.c.digest.is_not(None), _is_kept_around(path)
    )
    return connection.execute(found.limit(1)).first() is not None


def users_of(connection: Connection, folders: Mapping[str, str | None]) -> dict[str, str]:
    """Return which of these a version is made of, each with the version, ``version 3 of 'A'``.

    Args:
        connection: The transaction.
        folders: Ids of runs and logged models, each with the folder of its files, if it has one.
    """
    ids = set(folders)
    table = model_version.c
    named = or_(table.run_id.in_(ids), table.model_id.in_(ids), table.source.startswith(_RUNS))
    users: dict[str, str] = {}
    columns = (table.model, table.version, table.run_id, table.model_id, table.source)
    for row in connection.execute(select(*columns).where(named)):
        of_source = row.source.removeprefix(_RUNS).partition("/")[0]
        for identity in {row.run_id, row.model_id, of_source} & ids:
            users[identity] = f"version {row.version} of {row.model!r}"
    for identity, folder in folders.items():
        if folder is not None and identity not in users:
            kept = select(table.model, table.version).where(_is_kept_around(folder)).limit(1)
            for model, version in connection.execute(kept):
                users[identity] = f"version {version} of {model!r}"
    return users


def read_manifest(connection: Connection, key: VersionKey) -> Manifest | None:
    """Return what was sealed for a version, or ``None``."""
    text = connection.execute(
        select(model_version.c.manifest).where(
            model_version.c.model == key.model, model_version.c.version == key.version
        )
    ).scalar()
    return None if text is None else msgspec.json.decode(text, type=Manifest)


def _is_kept_around(path: str) -> ColumnElement[bool]:
    """Match versions whose folder is at a path, above it or beneath it."""
    segments = path.strip("/").split("/")
    above = ["/".join(segments[:count]) for count in range(1, len(segments) + 1)]
    storage = model_version.c.storage
    beneath = storage.startswith(path.strip("/") + "/", autoescape=True)
    return storage.in_(above) | beneath


def _hash_files(artifacts: ArtifactStore, storage: str | None) -> Manifest:
    if storage is None or not _is_model_folder(artifacts, storage):
        return Manifest(files=())
    return build_manifest(_hash(artifacts, storage, file.path) for file in artifacts.walk(storage))


def _is_model_folder(artifacts: ArtifactStore, storage: str) -> bool:
    """Whether there is a model: a version must not close the folder of a whole experiment."""
    return any(file.path == MLMODEL for file in artifacts.list(storage))


def _hash(artifacts: ArtifactStore, storage: str, path: str) -> FileDigest:
    seen = hashlib.sha256()
    size_bytes = 0
    for chunk in artifacts.get(f"{storage}/{path}"):
        seen.update(chunk)
        size_bytes += len(chunk)
    return FileDigest(path=path, size_bytes=size_bytes, sha256=seen.hexdigest())


def _sealed_values(manifest: Manifest, source: str) -> dict[str, str | None]:
    if not manifest.files:
        problem = f"no model folder is at its source {source!r} in this server's artifact store"
        return {"seal_problem": problem}
    return {
        "digest": digest(manifest),
        "manifest": msgspec.json.encode(manifest).decode(),
        "seal_problem": None,
    }
