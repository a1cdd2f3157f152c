"""Eight promoters of one model, while workers and the whole server are killed."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException

from tests.chaos.scenario import Orders, Result
from tests.journeys.history import Moved, Recorded, Seen, false_productions, record, recorded
from tests.journeys.models import register_marked
from tests.journeys.productions import look, move, stages
from tests.journeys.server import Server, kill_hard, running

MODEL = "Raced"
PROMOTERS = 8
STRICT_SHARE = 0.1
OPERATIONS_A_KILL = 150
KILLS_OF_EVERYTHING = 4
READY_WITHIN_S = 120.0


class Race:
    """What the promoters, the reader and the killer share. Threads append, the judge reads."""

    def __init__(self, server: Server, orders: Orders) -> None:
        self.server = server
        self.seed = orders.seed
        self.history: list[Recorded] = []
        self.kills = 0
        self._numbers = itertools.count()
        self._operations = orders.loops
        self.ending = threading.Event()

    def promote(self, promoter: int) -> None:
        """Move versions to Production, by MLflow's way and by ours, until all is done."""
        chance = random.Random(self.seed + promoter)
        while next(self._numbers) < self._operations:
            version = str(chance.randrange(1, PROMOTERS + 1))
            way = promoted if chance.random() < STRICT_SHARE else moved
            done = way(self.server, version)
            self.history.append(done)
            if not done.status:
                self._wait_until_ready()

    def read(self) -> None:
        """Look who is in Production, until the end."""
        while not self.ending.is_set():
            try:
                self.history.append(look(self.server, MODEL))
            except (OSError, HTTPException, KeyError, ValueError):
                self._wait_until_ready()

    def kill(self) -> None:
        """Kill a worker, and every fourth time everything, as the operations go on."""
        chance = random.Random(self.seed)
        for kill in itertools.count(1):
            due = kill * OPERATIONS_A_KILL
            while self._done() < due:
                if self.ending.wait(0.02):
                    return
            self.kills = kill
            if kill % KILLS_OF_EVERYTHING:
                kill_hard([chance.choice(self.server.worker_pids())])
            else:
                self.server.kill_everything()
                self.server.start()

    def _done(self) -> int:
        return sum(1 for entry in list(self.history) if isinstance(entry, Moved))

    def _wait_until_ready(self) -> None:
        ends_at = time.monotonic() + READY_WITHIN_S
        while not self.server.is_ready() and time.monotonic() < ends_at:
            time.sleep(0.05)


def moved(server: Server, version: str) -> Moved:
    """Move a version by MLflow's call; what came of it may be unknown."""
    begun_s = time.monotonic()
    try:
        return move(server, MODEL, version)
    except (OSError, HTTPException):
        return Moved(version, begun_s, time.monotonic())


def promoted(server: Server, version: str) -> Moved:
    """Promote a version and wait until it serves; a newer promotion may take its place."""
    begun_s = time.monotonic()
    try:
        status = server.promote(MODEL, int(version)).status
    except (OSError, HTTPException):
        status = 0
    return Moved(version, begun_s, time.monotonic(), status)


def run(orders: Orders) -> Result:
    """Do ``loops`` operations; one version must be in Production at every instant."""
    with running(Server(orders.folder / "server")) as server:
        register_marked(server, MODEL, PROMOTERS)
        race = Race(server, orders)
        helpers = [_started(race.read), _started(race.kill)]
        promoters = [_started(partial(race.promote, n)) for n in range(PROMOTERS)]
        for thread in promoters:
            thread.join()
        race.ending.set()
        for thread in helpers:
            thread.join()
        server.wait_until(server.is_ready, "ready")
        race.history.append(look(server, MODEL))
        left = list(stages(server, MODEL).values()).count("Production")
    record(orders.folder / "history", race.history)
    return _judged(recorded(orders.folder / "history"), race.kills, left)


def _judged(history: list[Recorded], kills: int, left: int) -> Result:
    moves = [entry for entry in history if isinstance(entry, Moved)]
    seen = sum(1 for entry in history if isinstance(entry, Seen))
    faults = false_productions(history)
    faults += [f"answered with {m.status}" for m in moves if m.status in {400, 404, 500}]
    if left != 1:
        faults.append(f"{left} versions are in Production at the end")
    if not kills:
        faults.append("nothing was killed")
    done = sum(1 for m in moves if m.status == 200)
    told = f"{len(moves):,} operations ({done:,} done), {seen:,} looks, {kills} kills"
    return Result(told, faults)


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
