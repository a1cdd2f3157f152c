"""Everything killed with SIGKILL while 32 clients write, again and again."""

import random

from tests.chaos.scenario import Orders, Result
from tests.journeys.history import Recorded, lost_writes, record, recorded, torn_writes, unanswered
from tests.journeys.history import refused_writes as refused
from tests.journeys.server import Server, running
from tests.journeys.writing import found_writes, integrity, write_until_killed

CLIENTS = 32
MOST_BEFORE_A_KILL = 600


def run(orders: Orders) -> Result:
    """Kill ``loops`` times; every acknowledged write must be there, and nothing half-written."""
    chance = random.Random(orders.seed)
    faults: list[str] = []
    history: list[Recorded] = []
    with running(Server(orders.folder / "server")) as server:
        for loop in range(orders.loops):
            path = orders.folder / f"history {loop}"
            enough = chance.randrange(1, MOST_BEFORE_A_KILL)
            record(path, write_until_killed(server, CLIENTS, enough))
            history += recorded(path)
            if (told := integrity(server)) != "ok":
                faults.append(f"after kill {loop}: {told}")
        found = set(found_writes(server))
    faults += [f"lost: {name}" for name in lost_writes(history, found)]
    faults += [f"half-written: {name}" for name in torn_writes(found)]
    faults += [f"refused: {write}" for write in refused(history)]
    cut = len(unanswered(history))
    return Result(f"{len(history):,} writes, {cut:,} cut off, {orders.loops} kills", faults)
