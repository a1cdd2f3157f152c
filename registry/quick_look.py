"""Whether a SQLite file is as a server wants it, told without the second that SQLAlchemy takes.

Called by ``gateway.preparation`` in the supervisor, which otherwise has a child prepare it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from tracking.revisions import head

_PREFIX = "sqlite:///"
_TIMEOUT_S = 1.0
_STATEMENT = """
SELECT version_num, (SELECT value FROM registry_flag WHERE name = 'single_production')
FROM alembic_version
"""


def is_prepared(uri: str, *, single_production: bool) -> bool:
    """Say whether nothing is left to do; whatever is in doubt, or wrong, is left to who can say it.

    Args:
        uri: Of the database.
        single_production: What the registry is to be set to.
    """
    path = Path(uri.removeprefix(_PREFIX))
    if not uri.startswith(_PREFIX) or "?" in uri or not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path, _TIMEOUT_S, isolation_level=None)) as connection:
            rows = connection.execute(_STATEMENT).fetchall()
    except sqlite3.Error:
        return False
    return rows == [(head(), "true" if single_production else "false")]
