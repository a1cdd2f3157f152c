"""One version is in Production at every instant, however many move at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.journeys.history import Moved, false_productions, record, recorded
from tests.journeys.models import register_marked
from tests.journeys.productions import look, move, stages
from tests.journeys.server import Server

ROWS = [[1.0, 2.0, 3.0]]
RACERS = 8


def test_racing_transitions_leave_one_version_in_production_at_every_instant(
    shared: Server, tmp_path: Path
) -> None:
    """Also without ``archive_existing_versions``, which MLflow would need for it."""
    register_marked(shared, "Raced", RACERS)

    with ThreadPoolExecutor(RACERS + 1) as pool:
        moves = [
            pool.submit(move, shared, "Raced", str(1 + number % RACERS))
            for number in range(4 * RACERS)
        ]
        seen = [look(shared, "Raced")]
        while not all(move.done() for move in moves):
            seen.append(look(shared, "Raced"))
    seen.append(look(shared, "Raced"))
    record(tmp_path / "history", [*(move.result() for move in moves), *seen])

    history = recorded(tmp_path / "history")
    assert {entry.status for entry in history if isinstance(entry, Moved)} == {200}
    assert false_productions(history) == []
    after = stages(shared, "Raced")
    assert Counter(after.values()) == {"Archived": RACERS - 1, "Production": 1}
    [winner] = [version for version, stage in after.items() if stage == "Production"]
    shared.wait_until(
        lambda: shared.predict("Raced", ROWS).headers.get("stagedoor-version") == winner,
        "the last one served",
    )
