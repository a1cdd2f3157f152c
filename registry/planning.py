"""Which route a model should have next, and what must be proved before it may. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct
from msgspec.structs import replace

from registry.route import TOTAL_BP, Route, Split
from registry.stages import Stage
from tracking.errors import InvalidRequest


class Move(Struct, frozen=True):
    """One version's way from a stage to another."""

    version: int
    from_stage: str
    to_stage: str


def desired_route(
    stages: Mapping[int, str], aliases: Mapping[str, int], split: Split | None
) -> Route:
    """Return the route that the registry's stages and aliases ask for.

    Where several versions carry a stage, the highest number has it, as MLflow resolves it.
    """
    return Route(
        production=newest_in(stages, Stage.PRODUCTION),
        staging=newest_in(stages, Stage.STAGING),
        aliases=dict(aliases),
        split=split,
    )


def newest_in(stages: Mapping[int, str], stage: str) -> int | None:
    """Return the highest version number that carries a stage, or ``None``."""
    return max((version for version, at in stages.items() if at == stage), default=None)


def next_route(
    committed: Route, desired: Route, *, refused: AbstractSet[int], existing: AbstractSet[int]
) -> Route:
    """Return the desired route, keeping the last good version where the desired one is refused.

    Args:
        committed: What is served now.
        desired: What the registry asks for.
        refused: Versions that failed to load, or have no files that could be.
        existing: Every version there still is; a deleted one is kept nowhere.
    """

    def held(wanted: int | None, now: int | None) -> int | None:
        version = now if wanted in refused else wanted
        return version if version in existing else None

    aliases = {
        alias: held(version, committed.aliases.get(alias))
        for alias, version in desired.aliases.items()
    }
    return Route(
        production=held(desired.production, committed.production),
        staging=held(desired.staging, committed.staging),
        aliases={alias: version for alias, version in aliases.items() if version is not None},
        split=desired.split,
    )


def must_prove(committed: Route, following: Route) -> frozenset[int]:
    """Return the versions every worker must have ready before the next route may be committed."""
    new = following.versions() - committed.versions()
    if following.production is not None and following.production != committed.production:
        return new | {following.production}
    return new


def plan_moves(stages: Mapping[int, str], version: int, to: Stage, *, archive: bool) -> list[Move]:
    """Return the stage moves of a transition: the version's own last, after those it displaces.

    Args:
        stages: Every version of the model and its stage.
        version: The one that moves.
        to: Where it goes.
        archive: Whether what carries that stage now is archived.
    """
    displaced = [
        Move(other, at, Stage.ARCHIVED)
        for other, at in sorted(stages.items())
        if archive and at == to and other != version
    ]
    return [*displaced, Move(version, stages[version], to)]


def after_moves(stages: Mapping[int, str], moves: list[Move]) -> dict[int, str]:
    """Return the stages once the moves are made."""
    return {**stages, **{move.version: move.to_stage for move in moves}}


def split_after(split: Split | None, moves: list[Move]) -> Split | None:
    """Return what is left of a split: promoting its candidate ends it."""
    if split is None:
        return None
    ends = any(m.from_stage == split.candidate and m.to_stage == Stage.PRODUCTION for m in moves)
    return None if ends else split


def change_split(
    current: Split | None, candidate: str, weight_bp: int, *, new_id: str
) -> Split | None:
    """Return the split after its weight was set: the same id, and so the same keys, if it goes on.

    Raises:
        InvalidRequest: The weight is not within 0 to 10,000 basis points, or the candidate is not
            Staging.
    """
    if not 0 <= weight_bp <= TOTAL_BP:
        message = (
            f"weight_bp is {weight_bp}: give basis points from 0 to {TOTAL_BP} (2000 is 20 %)."
        )
        raise InvalidRequest(message)
    if candidate != Stage.STAGING:
        message = f"candidate is {candidate!r}: a split takes its candidate from {Stage.STAGING}."
        raise InvalidRequest(message)
    if current is not None and current.candidate == candidate:
        return replace(current, weight_bp=weight_bp)
    return Split(split_id=new_id, candidate=candidate, weight_bp=weight_bp)
