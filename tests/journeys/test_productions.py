"""One version is in Production at every instant, however many move at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.journeys.models import register_marked
from tests.journeys.server import Server

ROWS = [[1.0, 2.0, 3.0]]
RACERS = 8


def stages(server: Server, model: str) -> dict[str, str]:
    path = f"/api/2.0/mlflow/model-versions/search?filter=name%20%3D%20'{model}'"
    found = server.get(path).json()["model_versions"]
    return {version["version"]: version["current_stage"] for version in found}


def test_racing_transitions_leave_one_version_in_production_at_every_instant(
    shared: Server,
) -> None:
    """Also without ``archive_existing_versions``, which MLflow would need for it."""
    register_marked(shared, "Raced", RACERS)

    with ThreadPoolExecutor(RACERS + 1) as pool:
        moves = [
            pool.submit(shared.transition, "Raced", 1 + number % RACERS, "Production")
            for number in range(4 * RACERS)
        ]
        seen = []
        while not all(move.done() for move in moves):
            seen.append(Counter(stages(shared, "Raced").values())["Production"])

    assert {move.result().status for move in moves} == {200}
    assert len(seen) > 1
    assert set(seen) <= {0, 1}
    after = stages(shared, "Raced")
    assert Counter(after.values()) == {"Archived": RACERS - 1, "Production": 1}
    [winner] = [version for version, stage in after.items() if stage == "Production"]
    shared.wait_until(
        lambda: shared.predict("Raced", ROWS).headers.get("stagedoor-version") == winner,
        "the last one served",
    )
