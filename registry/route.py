"""What one model's route holds, as it is committed, stored and published. Pure values."""

from msgspec import Struct, field

TOTAL_BP = 10_000
"""All of the traffic, in basis points."""


class Split(Struct, frozen=True):
    """A share of a model's traffic for the version in another stage.

    Args:
        split_id: New when the split is created, kept while only weights change: it is the salt.
        candidate: The stage whose version takes the share.
        weight_bp: The share, 0 to 10,000 basis points.
    """

    split_id: str
    candidate: str
    weight_bp: int


class Route(Struct, frozen=True, omit_defaults=True):
    """How one model's traffic goes. Immutable; a change is a new one with the next epoch.

    Args:
        production: The version that answers by default, or none.
        staging: The version in Staging, or none.
        aliases: Alias to version.
        split: The share that goes to the candidate, or none.
    """

    production: int | None = None
    staging: int | None = None
    aliases: dict[str, int] = field(default_factory=dict)
    split: Split | None = None

    def versions(self) -> frozenset[int]:
        """Return every version that this route needs loaded."""
        named = {self.production, self.staging, *self.aliases.values()}
        return frozenset(version for version in named if version is not None)

    def essential(self) -> frozenset[int]:
        """Return the versions that callers reach without naming one: these are never evicted."""
        named = {self.production, None if self.split is None else self.staging}
        return frozenset(version for version in named if version is not None)


class VersionKey(Struct, frozen=True, order=True):
    """Which artifact: a model's version and the digest of its files."""

    model: str
    version: int
    digest: str


class VersionRecord(Struct, frozen=True):
    """All that loading a version takes.

    Args:
        key: Its identity.
        storage: Folder of its files beneath the artifact root, ``1/<run>/artifacts/model``.
        stage: The stage it carries in the registry; changes without changing the key.
    """

    key: VersionKey
    storage: str
    stage: str


class ModelState(Struct, frozen=True):
    """One model as the database has it at one moment.

    Args:
        model: Its name.
        epoch: Epoch of the committed route; 0 before the first commit.
        committed: What workers serve.
        records: Every version there is, by number.
        switch: The open switch, or none.
    """

    model: str
    epoch: int
    committed: Route
    records: dict[int, VersionRecord]
    switch: "OpenSwitch | None" = None


class OpenSwitch(Struct, frozen=True):
    """A switch that workers should prepare for.

    Args:
        seq: Its number.
        epoch: The epoch it would commit.
        route: The route it would commit.
        prepared: Worker ids that reported success already.
        deadline_ms: When it is given up, milliseconds since the epoch.
    """

    seq: int
    epoch: int
    route: Route
    prepared: frozenset[str]
    deadline_ms: int
