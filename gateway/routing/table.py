"""Which version answers a call: an immutable snapshot of all routes, and ``assign`` over it. Pure.

A worker holds one ``RouteTable`` and replaces it by one reference assignment; ``predict.py`` reads
it once per request, on the event loop. Next hop: ``serving/manager.py`` leases the assigned key.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import assert_never

from msgspec import Struct, field

from gateway.routing.bucketing import bucket, check_key, exposure_salt, is_below, split_salt
from registry.references import ByAlias, ByNumber, ByStage, Latest, Live, Ref, format_ref
from registry.route import Route, Split, VersionKey, VersionRecord
from registry.stages import Stage
from tracking.errors import ResourceMissing

STABLE = "stable"
CANDIDATE = "candidate"


class Reason(StrEnum):
    """Why a request got its version. Only ``hash`` and ``random`` enter an analysis."""

    PINNED = "pinned"
    """The caller named a version, stage or alias."""
    HASH = "hash"
    """By the hash of the sticky key."""
    RANDOM = "random"
    """There was no key; by the hash of the request's nonce."""
    FALLBACK_ABSENT = "fallback_absent"
    """It would have been the candidate, and there is none ready here."""
    FALLBACK_ERROR = "fallback_error"
    """It was the candidate, which failed on it; stable answered in its place."""
    FALLBACK_OVERLOAD = "fallback_overload"
    """It was the candidate, which had no room or no time for it; stable answered in its place."""


class Assignment(Struct, frozen=True, gc=False):
    """The outcome of routing one request. Immutable.

    Args:
        model: The model's name.
        key: The version that answers.
        stage: Where that version stands.
        variant: ``stable``, ``candidate``, or empty when the caller named the version.
        reason: Why it was this one.
        epoch: Epoch of the route that decided.
    """

    model: str
    key: VersionKey
    stage: str
    variant: str
    reason: Reason
    epoch: int


class ModelRoute(Struct, frozen=True):
    """One model's committed route, with the versions it may name. Immutable.

    Args:
        model: The model's name.
        epoch: Epoch of the committed route.
        route: The committed route.
        records: Every version there is, by number.
        on_demand: Those that the route names and that are loaded when somebody asks for them.
    """

    model: str
    epoch: int
    route: Route
    records: Mapping[int, VersionRecord]
    on_demand: frozenset[int] = frozenset()

    def is_held(self, version: int) -> bool:
        """Whether workers hold a version without being asked for it."""
        return version in self.route.versions() and version not in self.on_demand


class RouteTable(Struct, frozen=True):
    """All routes of this worker at one moment. Immutable: a change is a new table."""

    models: Mapping[str, ModelRoute] = field(default_factory=dict)

    def with_model(self, entry: ModelRoute) -> "RouteTable":
        """Return a table in which this model goes by this route."""
        return RouteTable({**self.models, entry.model: entry})

    def without_model(self, model: str) -> "RouteTable":
        """Return a table that does not know this model."""
        return RouteTable({name: entry for name, entry in self.models.items() if name != model})


def assign(
    table: RouteTable,
    model: str,
    ref: Ref,
    *,
    key: bytes | None,
    nonce: bytes,
    is_ready: Callable[[VersionKey], bool],
) -> Assignment:
    """Choose the version that answers a call.

    Args:
        table: The snapshot, read once by the caller.
        model: The model's name.
        ref: How the caller named a version; ``Live`` goes to Production or its split.
        key: The sticky key as received, at most 512 bytes; empty means none.
        nonce: What stands in for a missing key, new for each request.
        is_ready: Whether a version can answer here and now.

    Raises:
        ResourceMissing: No such model or version, or the slot is empty.
        InvalidRequest: The key is too long.
    """
    entry = table.models.get(model)
    if entry is None:
        raise _missing_model(model)
    if isinstance(ref, Live):
        return _assign_live(entry, check_key(key), nonce, is_ready)
    record = entry.records.get(_pinned_version(entry, ref))
    if record is None:
        raise _missing_version(entry, ref)
    return _assignment(entry, record, "", Reason.PINNED)


def _assign_live(
    entry: ModelRoute, key: bytes | None, nonce: bytes, is_ready: Callable[[VersionKey], bool]
) -> Assignment:
    route = entry.route
    stable = entry.records.get(route.production or 0)
    if stable is None:
        raise _missing_version(entry, Live())
    reason = Reason.RANDOM if key is None else Reason.HASH
    if route.split is None or not _is_exposed(route.split, nonce if key is None else key):
        return _assignment(entry, stable, STABLE, reason)
    candidate = _candidate(entry, route.split)
    if candidate is None or not is_ready(candidate.key):
        return _assignment(entry, stable, STABLE, Reason.FALLBACK_ABSENT)
    return _assignment(entry, candidate, CANDIDATE, reason)


def _is_exposed(split: Split, unit: bytes) -> bool:
    salt = exposure_salt(split_salt(split.split_id))
    return is_below(bucket(salt, unit), split.weight_bp)


def _candidate(entry: ModelRoute, split: Split) -> VersionRecord | None:
    if split.candidate != Stage.STAGING:
        return None
    return entry.records.get(entry.route.staging or 0)


def _assignment(
    entry: ModelRoute, record: VersionRecord, variant: str, reason: Reason
) -> Assignment:
    stage = _stage(entry.route, record)
    return Assignment(entry.model, record.key, stage, variant, reason, entry.epoch)


def _stage(route: Route, record: VersionRecord) -> str:
    """Return the stage as committed; the registry's own column may be ahead of the route."""
    version = record.key.version
    if version == route.production:
        return Stage.PRODUCTION
    if version == route.staging:
        return Stage.STAGING
    return record.stage


def _pinned_version(entry: ModelRoute, ref: ByNumber | ByStage | ByAlias | Latest) -> int:
    """Return the version number that a reference stands for, or 0: versions start at 1."""
    match ref:
        case ByNumber(version=version):
            return version
        case ByAlias(alias=alias):
            return entry.route.aliases.get(alias, 0)
        case ByStage(stage=stage):
            return _staged_version(entry, stage)
        case Latest():
            return max(entry.records, default=0)
        case _:
            assert_never(ref)


def _staged_version(entry: ModelRoute, stage: Stage) -> int:
    if stage is Stage.PRODUCTION:
        return entry.route.production or 0
    if stage is Stage.STAGING:
        return entry.route.staging or 0
    records = entry.records.items()
    return max((number for number, record in records if record.stage == stage), default=0)


def _missing_model(model: str) -> ResourceMissing:
    return ResourceMissing(
        f"No registered model {model!r} is served here: check the name, or register a version "
        "under it and promote it to Production."
    )


def _missing_version(entry: ModelRoute, ref: Ref) -> ResourceMissing:
    if type(ref) is ByNumber:
        case, remedy = f"has no version {ref.version}", "name one of these"
    elif type(ref) is ByAlias:
        case, remedy = f"has no alias {'@' + ref.alias!r}", "set it, or name one of these"
    elif type(ref) is Latest:
        case, remedy = "has no version", "register one"
    elif coming := _coming(entry, format_ref(ref)):
        case = f"serves no version in {format_ref(ref)} yet: {coming} is not loaded on every worker"
        remedy = f"GET /admin/models/{entry.model} says why, or name one of these"
    else:
        case = f"has no version in {format_ref(ref)}"
        remedy = "promote one, or name one of these"
    return ResourceMissing(f"Model {entry.model!r} {case}; {_inventory(entry)}: {remedy}.")


def _coming(entry: ModelRoute, stage: str) -> str:
    """Name the version that the registry has in a stage and no route has there, if there is one."""
    newest = max((n for n, record in entry.records.items() if record.stage == stage), default=0)
    return f"version {newest}" if newest else ""


_LISTED = 5


def _inventory(entry: ModelRoute) -> str:
    """Say which versions and aliases there are, the newest first."""
    numbers = sorted(entry.records, reverse=True)
    if not numbers:
        return "no version is registered"
    listed = [f"{number} ({_stage(entry.route, entry.records[number])})" for number in numbers]
    aliases = [f"@{alias}" for alias in sorted(entry.route.aliases)]
    names = listed[:_LISTED] + aliases[:_LISTED]
    more = "" if len(numbers) <= _LISTED else f" and {len(numbers) - _LISTED} older ones"
    return f"there is {', '.join(names)}{more}"
