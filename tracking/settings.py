"""The client's settings: the one place of the client that reads the environment.

Each variable of ours has a twin of the field's, so that scripts written for MLflow work.
"""

import os

from msgspec import Struct

DEFAULT_TRACKING_URI = "sqlite:///stagedoor.db"


class ClientSettings(Struct, frozen=True):
    """What the environment says to a client. Immutable.

    Args:
        tracking_uri: Where to log, register and load from.
        token: Credential of a server: Bearer.
        username: Credential of a server: Basic.
        password: Credential of a server: Basic.
        experiment_name: The experiment for runs that name none.
        run_id: The run to go on with.
        artifacts_destination: Folder or bucket of the artifacts of a local tracking URI.
    """

    tracking_uri: str = DEFAULT_TRACKING_URI
    token: str | None = None
    username: str | None = None
    password: str | None = None
    experiment_name: str | None = None
    run_id: str | None = None
    artifacts_destination: str | None = None


def client_settings() -> ClientSettings:
    """Return what the environment says now."""
    return ClientSettings(
        tracking_uri=_variable("TRACKING_URI") or DEFAULT_TRACKING_URI,
        token=_variable("TRACKING_TOKEN"),
        username=_variable("TRACKING_USERNAME"),
        password=_variable("TRACKING_PASSWORD"),
        experiment_name=_variable("EXPERIMENT_NAME"),
        run_id=_variable("RUN_ID"),
        artifacts_destination=os.environ.get("STAGEDOOR_ARTIFACTS_DESTINATION") or None,  # noqa: TID251 - its owner
    )


def _variable(name: str) -> str | None:
    """Return our variable, or the field's; an empty one counts as unset."""
    environment = os.environ  # noqa: TID251 - its owner
    return environment.get(f"STAGEDOOR_{name}") or environment.get(f"MLFLOW_{name}") or None
