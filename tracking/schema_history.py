"""The version of the database's schema: which one it has, which one we need, and the way there.

Called by ``tracking.sqlite`` and ``tracking.postgres`` while they hold the lock of the database.
Revisions are the numbers that the files of ``tracking/migrations/versions`` begin with.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tracking.errors import SchemaOutdated

_FOLDER = Path(__file__).parent / "migrations"


def head() -> str:
    """Return the revision this program needs, without the cost of importing Alembic."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def find_revision(connection: Connection) -> str | None:
    """Return the revision the database has, or ``None`` for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def require_head(revision: str | None, *, url: str) -> None:
    """Check that a database's revision is the one this program needs.

    Raises:
        SchemaOutdated: It is an older one, or a newer one.
    """
    needed = head()
    if revision == needed:
        return
    if revision is not None and revision > needed:
        raise SchemaOutdated(
            f"The database {url!r} has schema {revision!r}, newer than the {needed!r} of this"
            " program. Upgrade stagedoor."
        )
    raise SchemaOutdated(
        f"The database {url!r} has schema {revision!r}, this program needs {needed!r}."
        f" Back it up, then run: stagedoor db upgrade --backend-store-uri {url}"
    )


def migrate(
    connection: Connection, *, to: str = "head", tell: Callable[[str], None] = lambda _: None
) -> None:
    """Bring the schema to the head, or to a revision, inside the connection's transaction.

    Args:
        connection: In a transaction.
        to: The revision.
        tell: Called with a sentence now and then while it takes long.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - only who migrates pays for the import
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["tell"] = tell
    command.upgrade(config, to)
