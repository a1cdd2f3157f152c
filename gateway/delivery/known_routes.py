"""The routes as this worker has read them, and what follows from them, kept up model by model.

Nothing here grows dear with the number of models when one of them changes. Used by the reconciler's
thread only.
"""

from collections.abc import Iterable

from gateway.delivery.preload import Preload, Wants, on_demand_versions, wants_of
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.inventory import Aspired
from registry.route import ModelState, OpenSwitch, VersionKey, VersionRecord

_NO_WANTS = Wants()


class KnownRoutes:
    """One per reconciler.

    Args:
        preload: Which models are loaded without being asked for.

    Attributes:
        states: What was read of each model.
        unpublished: Models whose epoch may be newer than what this worker has told.
        unshown: Models whose metrics may be old.
        required: What this worker has to have, or have failed at, before it is counted in.
        insisted: What it has to have to be ready: of models that were named. Never changes, but is
            replaced.
    """

    def __init__(self, preload: Preload) -> None:
        self._preload = preload
        self.states: dict[str, ModelState] = {}
        self.unpublished: set[str] = set()
        self.unshown: set[str] = set()
        self.required: set[VersionKey] = set()
        self.insisted: frozenset[VersionKey] = frozenset()
        self._wants: dict[str, Wants] = {}
        self._routes: dict[str, ModelRoute] = {}
        self._records: dict[VersionKey, VersionRecord] = {}
        self._pinned: set[VersionKey] = set()
        self._on_demand: set[VersionKey] = set()
        self._opened: set[str] = set()
        self._split: set[str] = set()
        self._changed: dict[VersionKey, None] = {}

    def replace(self, states: dict[str, ModelState]) -> None:
        """Know these models, and no others."""
        self.take(dict.fromkeys([*self.states, *states]), states)

    def take(self, changed: Iterable[str], found: dict[str, ModelState]) -> None:
        """Know what changed models are now; those without a state are gone."""
        for model in changed:
            self._drop(model)
            state = found.get(model)
            if state is not None:
                self._add(state)

    def table(self) -> RouteTable:
        """Return the snapshot that requests are routed by."""
        return RouteTable(dict(self._routes))

    def take_aspired(self) -> tuple[Aspired, list[VersionKey]] | None:
        """Return what routes want of this worker, and of which versions they may want it anew.

        Nothing, if nothing has changed since the last call.
        """
        if not self._changed:
            return None
        changed, self._changed = list(self._changed), {}
        pinned, on_demand = frozenset(self._pinned), frozenset(self._on_demand)
        return Aspired(dict(self._records), pinned, on_demand), changed

    def opened(self) -> list[tuple[ModelState, OpenSwitch]]:
        """Return the models with an open switch."""
        states = [self.states[model] for model in self._opened]
        return [(state, state.switch) for state in states if state.switch is not None]

    def take_unshown(self) -> set[str]:
        """Return the models of which metrics may be old; those with a split always may be."""
        unshown, self.unshown = self.unshown | self._split, set()
        return unshown & self.states.keys()

    def _drop(self, model: str) -> None:
        wants = self._wants.pop(model, _NO_WANTS)
        self._note(wants)
        for key in wants.records:
            self._records.pop(key, None)
        self._pinned -= wants.pinned
        self._on_demand -= wants.on_demand
        self.required -= wants.required
        self.insisted -= wants.required
        self.states.pop(model, None)
        self._routes.pop(model, None)
        for models in (self._opened, self._split, self.unpublished, self.unshown):
            models.discard(model)

    def _note(self, wants: Wants) -> None:
        """Note of what something else may be wanted, in the order in which it is loaded."""
        self._changed |= dict.fromkeys([*wants.records, *wants.on_demand])

    def _add(self, state: ModelState) -> None:
        wants = self._wants[state.model] = wants_of(state, self._preload)
        self._note(wants)
        self._records |= wants.records
        self._pinned |= wants.pinned
        self._on_demand |= wants.on_demand
        self.required |= wants.required
        if state.model in self._preload.names:
            self.insisted |= wants.required
        self.states[state.model] = state
        self._routes[state.model] = ModelRoute(
            model=state.model,
            epoch=state.epoch,
            route=state.committed,
            records=state.records,
            on_demand=on_demand_versions(state, wants),
        )
        self.unpublished.add(state.model)
        self.unshown.add(state.model)
        if state.switch is not None:
            self._opened.add(state.model)
        if state.committed.split is not None:
            self._split.add(state.model)
