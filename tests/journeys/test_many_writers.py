"""Many clients write to one SQLite file at once: none is refused, and nothing told is lost."""

import random
from pathlib import Path

from tests.journeys.history import (
    lost_writes,
    record,
    recorded,
    refused_writes,
    torn_writes,
    unanswered,
)
from tests.journeys.server import Server, running
from tests.journeys.writing import Writers, found_writes, integrity, write_until_killed

CLIENTS = 32
EACH = 15
LOOPS = 1  # make chaos has 200
SEED = 20261124


def test_what_32_clients_were_told_at_once_is_kept_also_through_kills(tmp_path: Path) -> None:
    """At first none is refused or unanswered; then everything is killed while they write."""
    chance = random.Random(SEED)
    with running(Server(tmp_path / "server")) as server:
        record(tmp_path / "calm", Writers(server, clients=CLIENTS, each=EACH).start().join())
        for loop in range(LOOPS):
            record(
                tmp_path / f"{loop}", write_until_killed(server, CLIENTS, chance.randrange(1, 300))
            )
        found = set(found_writes(server))

    calm = recorded(tmp_path / "calm")
    killed = [entry for loop in range(LOOPS) for entry in recorded(tmp_path / f"{loop}")]
    assert (refused_writes(calm), unanswered(calm)) == ([], [])
    assert len(calm) == CLIENTS * (EACH + 1)
    assert refused_writes(killed) == []
    assert lost_writes([*calm, *killed], found) == []
    assert torn_writes(found) == []
    assert integrity(server) == "ok"
