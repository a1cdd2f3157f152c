"""Who may wait beside others, and who has to make room."""

import math

from gateway.serving.admission import Bounds, Machine, Shed
from gateway.serving.callers import Caller, Priority
from gateway.serving.cost import Cost
from gateway.serving.entrance import Entrance, Entry, Newcomer, who_makes_room
from gateway.serving.turns import Turns

BOUNDS = Bounds(max_waiting=50, max_queue_s=1.0, standing_s=0.1)
MACHINE = Machine(Cost(0.0, 0.1), max_rows=2, busy_s=0.2)
NOISY, QUIET = Caller("noisy"), Caller("quiet")
BATCH, CRITICAL = Caller("noisy", Priority.BATCH), Caller("noisy", Priority.CRITICAL)


class Door:
    """A queue of names, and who may join it."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.turns: Turns[str] = Turns()
        self.entrance = Entrance(bounds)
        self.names = (f"{n}" for n in range(1000))

    def ask(self, caller: Caller, *, within_s: float = math.inf) -> tuple[Shed | None, list[str]]:
        """Return why one row is refused, or who has to go for it; and let it wait."""
        newcomer = Newcomer(caller, 1, within_s)
        entry: Entry = self.entrance.decide(newcomer, self.turns, MACHINE, 0.0)
        if entry.shed is not None:
            return entry.shed, []
        going = who_makes_room(newcomer, self.turns, 0.0) if entry.needs_room else []
        for name in going:
            self.turns.remove(name)
        self.turns.add(next(self.names), caller, 1, 0.0)
        return None, going

    def fill(self, caller: Caller) -> None:
        while self.ask(caller)[0] is None:
            pass


def test_one_who_fills_the_queue_makes_room_for_another() -> None:
    door = Door()
    door.fill(NOISY)
    waiting = len(door.turns)

    told = [door.ask(QUIET), door.ask(NOISY)]

    assert told == [(None, [str(waiting - 1)]), (Shed.WAIT, [])]
    assert len(door.turns) == waiting


def test_a_lower_priority_makes_room_and_is_refused_first() -> None:
    door = Door()
    door.fill(BATCH)

    told = [door.ask(one) for one in (NOISY, CRITICAL, BATCH)]

    assert [shed for shed, _ in told] == [None, None, Shed.WAIT]
    assert [len(going) for _, going in told] == [1, 1, 0]


def test_a_higher_priority_never_makes_room_for_a_lower_one() -> None:
    door = Door()
    door.fill(NOISY)
    other = Caller("another", Priority.BATCH)

    assert door.ask(other) == (Shed.WAIT, [])
    door.fill(CRITICAL)
    assert door.ask(NOISY)[0] is Shed.WAIT
    assert door.ask(CRITICAL)[0] is Shed.WAIT


def test_as_many_wait_as_may_whoever_asks() -> None:
    door = Door(Bounds(max_waiting=4, max_queue_s=99.0, standing_s=99.0))
    door.fill(BATCH)

    told = [door.ask(caller) for caller in (BATCH, NOISY, CRITICAL, QUIET, CRITICAL)]

    assert [shed for shed, _ in told] == [Shed.FULL, None, None, None, None]
    assert len(door.turns) == 4
    door.fill(CRITICAL)
    assert door.ask(NOISY) == (Shed.FULL, [])


def test_who_has_little_time_is_let_in_where_it_goes_first() -> None:
    door = Door()
    for _ in range(6):
        door.ask(NOISY)

    assert door.ask(NOISY, within_s=0.5) == (Shed.LATE, [])
    assert door.ask(QUIET, within_s=0.5) == (None, [])
