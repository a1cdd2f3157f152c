"""The version of the database's schema: which one it has, which one we need, and the way there.

Called by ``tracking.sqlite`` and ``tracking.postgres`` while they hold the lock of the database.
"""

import logging
from collections.abc import Callable

from sqlalchemy import Connection, inspect, text

from tracking.errors import SchemaOutdated
from tracking.revisions import FOLDER, head


def find_revision(connection: Connection) -> str | None:
    """Return the revision the database has, or ``None`` for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def require_head(revision: str | None, *, url: str) -> None:
    """Check that a database's revision is the one this program needs.

    Raises:
        SchemaOutdated: It is an older one, a newer one, or none of ours.
    """
    require_no_later(revision, url=url)
    if revision != head():
        raise SchemaOutdated(
            f"The database {url!r} has schema {revision!r}, this program needs {head()!r}."
            f" Back it up, then run: stagedoor db upgrade --backend-store-uri {url}"
        )


def require_no_later(revision: str | None, *, url: str) -> None:
    """Check that a database is one that this program can bring to its own revision.

    Raises:
        SchemaOutdated: Its revision is newer than this program, or none of ours.
    """
    if revision is None:
        return
    if not revision.isdecimal():
        raise SchemaOutdated(
            f"The database {url!r} has schema {revision!r}, which another program made (MLflow"
            " names its schemas so). Name a new database, and leave that one as it is."
        )
    if revision > head():
        raise SchemaOutdated(
            f"The database {url!r} has schema {revision!r}, newer than the {head()!r} of this"
            " program. Upgrade stagedoor."
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
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["tell"] = tell
    command.upgrade(config, to)
