"""Which versions a server holds, and what they may take: a part of ``serving`` in the settings.

``gateway.settings`` reads, checks and shows them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

MOST_REPLICAS = 64
MOST_TOLERANCE = 1e-2
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+([eE][-+]?[0-9]{1,3})?", re.ASCII)


class HoldingSettings(Struct, frozen=True, kw_only=True):
    """Which versions are held without being asked for, and how long the others stay."""

    preload: Annotated[
        tuple[str, ...],
        Meta(
            description="Models whose versions in routes are loaded at the start, `all` or `none`; "
            "a worker is ready once those in Production are. Others load at their first request."
        ),
    ] = ("all",)
    memory_budget_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Bytes that loaded versions may take on this host, an equal part for each "
            "worker; 0 takes six tenths of what the host or container has.",
        ),
    ] = 0
    model_memory_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Bytes that the process of one version may take, with what it starts; it "
            "is refused more, or killed. 0 takes what the host or container has.",
        ),
    ] = 0
    max_answer_bytes: Annotated[
        int,
        Meta(
            gt=0,
            description="Bytes that the arrays of one answer may have; a larger one is an error of "
            "its model.",
        ),
    ] = 64 * 1024 * 1024
    idle_unload_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds without a request after which a version goes that no route names.",
        ),
    ] = 600.0
    replicas: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_REPLICAS,
            description="Processes in which a version without an engine answers, in each worker.",
        ),
    ] = 1
    replicas_of: Annotated[
        tuple[str, ...],
        Meta(description="The same for single models, `NAME=4`."),
    ] = ()
    onnx_tolerance_of: Annotated[
        tuple[str, ...],
        Meta(
            description="Models of scikit-learn that may answer within a tolerance, `NAME=1e-6`, "
            "by ONNX Runtime where they have no exact engine; needs `stagedoor[skl2onnx]`."
        ),
    ] = ()
    merge_of: Annotated[
        tuple[str, ...],
        Meta(
            description="For single models, whether waiting requests may share a call of a version "
            "without an engine, `NAME=true` or `NAME=false`; by itself only where each row was "
            "proved to be answered for itself."
        ),
    ] = ()

    @property
    def merging(self) -> dict[str, bool]:
        """Return for which models it was said whether their requests share calls."""
        return parse_merging(self.merge_of)

    def replicas_for(self, model: str) -> int:
        """Return in how many processes a model's versions without an engine answer."""
        return parse_replicas(self.replicas_of).get(model, self.replicas)

    def onnx_tolerance_for(self, model: str) -> float:
        """Return within what a model's versions may answer by ONNX; 0 for exactly."""
        return parse_tolerances(self.onnx_tolerance_of).get(model, 0.0)


def parse_replicas(pairs: tuple[str, ...]) -> dict[str, int]:
    """Read ``NAME=4`` pairs; a name may have a ``=`` itself.

    Raises:
        ValueError: One is no such pair.
    """
    parted = [pair.rpartition("=") for pair in pairs]
    for name, _, count in parted:
        if not name or not count.isdecimal() or not 1 <= int(count) <= MOST_REPLICAS:
            raise ValueError(f"use NAME=4, with a number of 1 to {MOST_REPLICAS}")
    return {name: int(count) for name, _, count in parted}


def parse_tolerances(pairs: tuple[str, ...]) -> dict[str, float]:
    """Read ``NAME=1e-6`` pairs; a name may have a ``=`` itself.

    Raises:
        ValueError: One is no such pair.
    """
    parted = [pair.rpartition("=") for pair in pairs]
    for name, _, number in parted:
        if not name or not _NUMBER.fullmatch(number) or not 0 < float(number) <= MOST_TOLERANCE:
            raise ValueError(f"use NAME=1e-6, with a number above 0 and up to {MOST_TOLERANCE:g}")
    return {name: float(number) for name, _, number in parted}


def parse_merging(pairs: tuple[str, ...]) -> dict[str, bool]:
    """Read ``NAME=true`` pairs; a name may have a ``=`` itself.

    Raises:
        ValueError: One is no such pair.
    """
    parted = [pair.rpartition("=") for pair in pairs]
    if any(not name or said not in {"true", "false"} for name, _, said in parted):
        raise ValueError("use NAME=true or NAME=false")
    return {name: said == "true" for name, _, said in parted}


def _check_tolerances(pairs: tuple[str, ...]) -> None:
    parse_tolerances(pairs)


def _check_merging(pairs: tuple[str, ...]) -> None:
    parse_merging(pairs)


def _check_replicas(pairs: tuple[str, ...]) -> None:
    parse_replicas(pairs)


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "serving.onnx_tolerance_of": _check_tolerances,
    "serving.replicas_of": _check_replicas,
    "serving.merge_of": _check_merging,
}
"""What a value must meet besides its type; raises ``ValueError``."""
