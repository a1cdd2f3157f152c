"""What an import or export came to: counted by kind and effect, and every failure by name."""

from collections import Counter
from collections.abc import Iterable, Mapping

from registry.transfer.source import Broken
from tracking.sql_past import Effect

Kind = str
"""``experiment``, ``run``, ``point``, ``logged model``, ``model``, ``version``, ``file``."""


class Tally:
    """Counts of one call. For one thread."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Kind, Effect]] = Counter()
        self.copied_bytes = 0
        self.problems: list[Broken] = []
        self.notes: list[str] = []
        self.changed: dict[Broken, None] = {}
        self.left_out: dict[str, int] = {}

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written, and nothing failed."""
        return not self.problems and not any(
            count for (_, effect), count in self.counts.items() if effect is not Effect.UNCHANGED
        )

    def count(self, kind: Kind, effect: Effect, number: int = 1) -> None:
        """Count things that were written, or found to be here."""
        if number:
            self.counts[kind, effect] += number

    def count_all(self, kind: Kind, effects: Iterable[Effect]) -> None:
        """Count several things of a kind."""
        for effect in effects:
            self.count(kind, effect)

    def fail(self, what: str, why: str) -> None:
        """Note something that could not be brought over."""
        self.problems.append(Broken(what, why))

    def change(self, changes: Iterable[Broken]) -> None:
        """Note parts of things that came, which were left out or made to fit; each once."""
        self.changed.update(dict.fromkeys(changes))

    def note(self, text: str) -> None:
        """Note something that a person should know, and that is no failure."""
        if text not in self.notes:
            self.notes.append(text)

    def leave_out(self, counts: Mapping[str, int]) -> None:
        """Note what is not brought over at all."""
        self.left_out.update(counts)
