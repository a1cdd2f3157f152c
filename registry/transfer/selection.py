"""Which experiments and models are taken. Pure."""

from collections.abc import Collection

from msgspec import Struct

from registry.transfer.source import PastModel


class Selection(Struct, frozen=True):
    """What was named; everything when nothing was.

    Args:
        experiments: Names of experiments. The models that have a version made by one of their runs
            are taken too.
        models: Names of registered models.
    """

    experiments: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Whether nothing was named."""
        return not (self.experiments or self.models)

    def has_experiment(self, name: str) -> bool:
        """Return whether an experiment is taken."""
        return self.is_everything or name in self.experiments

    def has_model(self, past: PastModel, run_ids: Collection[str]) -> bool:
        """Return whether a model is taken.

        Args:
            past: The model.
            run_ids: The runs that are taken.
        """
        if self.is_everything or past.model.name in self.models:
            return True
        return any(kept.version.run_id in run_ids for kept in past.versions if kept.version.run_id)

    def missing(self, experiments: Collection[str], models: Collection[str]) -> list[str]:
        """Return what was named and is not there, in words."""
        gone = [f"experiment {name!r}" for name in sorted(self.experiments - set(experiments))]
        return gone + [f"model {name!r}" for name in sorted(self.models - set(models))]
