"""What a load test knows beforehand: the probes, each version's own answers, what is being tried.

Written by ``prepare``, read by the locust file in its own process, and by ``judge``.
"""

from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct


class Scenario(StrEnum):
    """What is tried."""

    PREDICT = "predict"
    """One version, steady load."""
    CANARY = "canary"
    """A sticky split between two versions."""
    PROMOTE = "promote_under_load"
    """Two versions promoted in turn, under load."""


class Plan(Struct, frozen=True):
    """One load test.

    Args:
        scenario: What is tried.
        model: The model's name.
        rows: The probes, each a row of numbers.
        answers: By version: its own answer to each probe. They differ on every probe.
        weight_bp: The candidate's share, in basis points; 0 without a split.
        keys: How many sticky keys the callers use.
    """

    scenario: Scenario
    model: str
    rows: list[list[float]]
    answers: dict[int, list[int]]
    weight_bp: int = 0
    keys: int = 1000


STABLE = 1
"""The version in Production at the start."""
CANDIDATE = 2
"""The other one."""


def write_plan(plan: Plan, path: Path) -> None:
    """Put a plan where the locust process finds it."""
    path.write_bytes(msgspec.json.encode(plan))


def read_plan(path: Path) -> Plan:
    """Read it there."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)
