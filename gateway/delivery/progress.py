"""What a worker can say of a switch and of its routes. Pure."""

from collections.abc import Callable, Iterable, Mapping

from registry.planning import must_prove
from registry.route import TOTAL_BP, ModelState, Route, VersionKey, VersionRecord
from registry.stages import Stage


def records_of(state: ModelState, versions: Iterable[int]) -> list[VersionRecord]:
    """Return the records of those of these versions that have sealed files."""
    found = (state.records.get(version) for version in sorted(versions))
    return [record for record in found if record is not None and record.key.digest]


def to_prove(state: ModelState) -> dict[int, VersionKey]:
    """Return what this worker must have ready before the open switch may be committed."""
    route = Route() if state.switch is None else state.switch.route
    proved = records_of(state, must_prove(state.committed, route))
    return {record.key.version: record.key for record in proved}


def weights(
    state: ModelState, is_ready: Callable[[VersionKey], bool]
) -> dict[str, tuple[float, float]]:
    """Return the share each variant should have, and the one it has with what is ready, 0 to 1."""
    split = state.committed.split
    desired = 0.0 if split is None else split.weight_bp / TOTAL_BP
    staged = state.records.get(state.committed.staging or 0)
    effective = desired if staged is not None and is_ready(staged.key) else 0.0
    return {"stable": (1.0 - desired, 1.0 - effective), "candidate": (desired, effective)}


def is_diverged(state: ModelState) -> bool:
    """Return whether a stage of the registry names another version than the one that is served."""
    served = state.committed
    return any(
        _newest_in(state, stage) != version
        for stage, version in (
            (Stage.PRODUCTION, served.production),
            (Stage.STAGING, served.staging),
        )
    )


def _newest_in(state: ModelState, stage: Stage) -> int | None:
    found = (number for number, record in state.records.items() if record.stage == stage)
    return max(found, default=None)


def renamed(
    gone: Iterable[ModelState], come: Iterable[ModelState]
) -> dict[VersionKey, VersionRecord]:
    """Return the versions that are the same under another model's name, by their old key."""
    by_files = {_files(state): state for state in come if state.records}
    found: dict[VersionKey, VersionRecord] = {}
    for state in gone:
        now = by_files.get(_files(state))
        if now is not None:
            found |= {old.key: now.records[number] for number, old in state.records.items()}
    return found


def _files(state: ModelState) -> frozenset[tuple[int, str]]:
    return frozenset((number, record.key.digest) for number, record in state.records.items())


def newer_epochs(states: Mapping[str, ModelState], published: Mapping[str, int]) -> dict[str, int]:
    """Return the models whose committed epoch this worker has not published yet."""
    return {
        model: state.epoch for model, state in states.items() if published.get(model) != state.epoch
    }
