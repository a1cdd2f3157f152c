"""A new file is made from a dump, which says what the history would have made."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from tracking.database import open_database
from tracking.fresh_schema import DUMP, dump_history


def test_the_dump_is_what_the_history_makes() -> None:
    told = "run python -m tracking.fresh_schema"

    assert dump_history() == DUMP.read_text(encoding="utf-8"), told


def test_a_new_file_is_what_the_history_makes(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'new.db'}").close()

    with sqlite3.connect(tmp_path / "new.db") as made:
        lines = [line for line in made.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]

    made.close()
    assert "\n".join(lines) + "\n" == dump_history()


def test_making_a_new_file_imports_no_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from tracking.database import open_database;"
        f"open_database('sqlite:///{tmp_path / 'new.db'}').close();"
        "sys.exit('alembic' in sys.modules)"
    )

    ended = subprocess.run([sys.executable, "-c", program], check=False)

    assert ended.returncode == 0
