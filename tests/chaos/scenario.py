"""What a scenario of ``make chaos`` is given, and what it gives back."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct


class Orders(Struct, frozen=True):
    """How a scenario is run.

    Args:
        folder: Empty, and its own.
        loops: How often, how long or how much; each scenario says of what.
        seed: Of all chance.
    """

    folder: Path
    loops: int
    seed: int


class Result(Struct, frozen=True):
    """What came of it.

    Args:
        told: The figures.
        faults: What should not have been; nothing when all held.
    """

    told: str
    faults: list[str]


class Scenario(Struct, frozen=True):
    """A story that takes too long for ``make test``.

    Args:
        run: Does it, and judges it.
        loops: How often, long or much, if nobody says otherwise.
        unit: Of what.
    """

    run: Callable[[Orders], Result]
    loops: int
    unit: str
