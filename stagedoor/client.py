"""The client: everything by id and name, nothing implied. The fluent functions are built on it."""

from stagedoor.artifact_client import ArtifactClient
from stagedoor.registry_client import RegistryClient
from stagedoor.session import open_stores
from stagedoor.tracking_client import TrackingClient


class StagedoorClient(TrackingClient, ArtifactClient, RegistryClient):
    """Experiments, runs, artifacts, models and versions. Safe from any thread.

    Its methods have the names and arguments of MLflow's client.

    Args:
        tracking_uri: Where to; the one in force when not given.
    """

    def __init__(self, tracking_uri: str | None = None) -> None:
        stores = open_stores(tracking_uri)
        TrackingClient.__init__(self, stores.tracking)
        ArtifactClient.__init__(self, stores.tracking, stores.artifacts)
        RegistryClient.__init__(self, stores.registry)
