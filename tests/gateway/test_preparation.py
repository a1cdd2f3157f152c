"""What is refused before a worker is forked."""

import msgspec
import pytest

from gateway.preparation import start_preparing
from gateway.settings import Settings
from tracking.errors import InvalidRequest


def test_a_root_beneath_which_no_artifacts_may_lie_is_refused_at_the_start() -> None:
    root = "mlflow-artifacts:/a/../b"
    storage = msgspec.structs.replace(Settings().storage, default_artifact_root=root)

    with pytest.raises(InvalidRequest, match="default_artifact_root"):
        start_preparing(Settings(storage=storage))
