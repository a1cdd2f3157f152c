"""Which models a worker loads without being asked for them, and what of them it must hold. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from gateway.delivery.progress import records_of, to_prove
from registry.route import ModelState, VersionKey, VersionRecord

_ALL = "all"
_NONE = "none"


class Preload(Struct, frozen=True):
    """Some models, or all. Immutable.

    Args:
        names: The models that were named; empty when it is all or none of them.
        is_all: Whether it is all.
    """

    names: frozenset[str] = frozenset()
    is_all: bool = True

    def takes(self, model: str) -> bool:
        """Whether a model is one of them."""
        return self.is_all or model in self.names


class Wants(Struct, frozen=True):
    """What one model's route wants of a worker. Immutable.

    Args:
        records: What is loaded without being asked for.
        pinned: Those of them that are never evicted: what callers reach without naming a version,
            and what an open switch has to prove.
        on_demand: What the route names besides.
        required: What a worker has to have, or to have failed at, before it is counted in.
    """

    records: dict[VersionKey, VersionRecord] = {}
    pinned: frozenset[VersionKey] = frozenset()
    on_demand: frozenset[VersionKey] = frozenset()
    required: frozenset[VersionKey] = frozenset()


def parse_preload(words: Iterable[str]) -> Preload:
    """Read what a person wrote: names, or one of the words ``all`` and ``none``."""
    named = frozenset(words)
    return Preload(names=named - {_ALL, _NONE}, is_all=_ALL in named)


def wants_of(state: ModelState, preload: Preload) -> Wants:
    """Return what a model's committed route and its open switch want.

    A model that is not preloaded has its versions loaded when they are asked for, but for a split:
    its candidate would get no traffic as long as nobody names it.
    """
    route = state.committed
    is_preloaded = preload.takes(state.model)
    essential = _keys(state, route.essential() if is_preloaded or route.split else ())
    proving = frozenset(to_prove(state).values())
    named = {record.key: record for record in records_of(state, route.versions())}
    coming = {key: state.records[key.version] for key in proving}
    records = named if is_preloaded else {key: named[key] for key in essential}
    return Wants(
        records={**records, **coming},
        pinned=essential | proving,
        on_demand=frozenset(named.keys() - records.keys() - coming.keys()),
        required=essential if is_preloaded else frozenset(),
    )


def on_demand_versions(state: ModelState, wants: Wants) -> frozenset[int]:
    """Return the versions of the route that may have to be loaded when they are asked for."""
    pinned = {key.version for key in wants.pinned}
    return state.committed.versions() - pinned


def _keys(state: ModelState, versions: Iterable[int]) -> frozenset[VersionKey]:
    return frozenset(record.key for record in records_of(state, versions))
