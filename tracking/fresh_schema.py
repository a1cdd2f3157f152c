"""A new SQLite file at the head of the history, from a dump of one: importing Alembic takes longer.

Called by ``tracking.sqlite`` for a file without tables. ``python -m tracking.fresh_schema`` writes
the dump anew after a migration was added; a test compares it with what the history makes, and a
dump that is behind is brought to the head as any older file is.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from tracking import schema_history

DUMP = Path(__file__).parent / "migrations" / "fresh.sql"
_FRAME = ("BEGIN TRANSACTION;", "COMMIT;")


def make_tables(connection: Connection) -> None:
    """Make all tables, within the connection's transaction."""
    for statement in _statements(DUMP.read_text(encoding="utf-8")):
        connection.exec_driver_sql(statement)


def dump_history() -> str:
    """Run the whole history on an empty file and return what it leaves behind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fresh.db"
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        with engine.begin() as connection:
            schema_history.migrate(connection)
        with sqlite3.connect(path) as made:
            lines = [line for line in made.iterdump() if line not in _FRAME]
        made.close()
    return "\n".join(lines) + "\n"


def _statements(text: str) -> Iterator[str]:
    waiting = ""
    for line in text.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            yield waiting
            waiting = ""


if __name__ == "__main__":
    DUMP.write_text(dump_history(), encoding="utf-8")
