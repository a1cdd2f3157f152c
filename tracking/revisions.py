"""The revisions of the schema: numbers that files of ``tracking/migrations/versions`` begin with.

Read from their names, without Alembic and SQLAlchemy.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "migrations"


def head() -> str:
    """Return the revision that this program needs."""
    return revisions()[-1]


def revisions() -> list[str]:
    """Return the history, oldest first."""
    files = (FOLDER / "versions").glob("[0-9]*_*.py")
    return sorted(file.name.partition("_")[0] for file in files)
