"""A version loaded and ready to answer, whatever answers: a runner process now, engines later."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import Batch, Prediction


class Servable(Protocol):
    """A version ready to answer. Used on the event loop only, but for ``close``."""

    key: VersionKey
    signature: Signature | None

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        """Answer one request's rows.

        Args:
            batch: They.
            params: What is asked besides.
            deadline_s: When an answer is of no use any more, on the monotonic clock.

        Raises:
            ModelFailed: The model raised on these rows.
            ModelNotReady: What answers has died and is not back yet.
            Overloaded: Too much waits for it; the rows were not executed.
            DeadlineExceeded: The deadline passed while they were.
        """

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Turn a request away before it is decoded, if it would not be let wait.

        Raises:
            ModelNotReady: What answers has died and is not back yet.
            Overloaded: Too much waits for it.
        """

    def close(self) -> None:
        """Free everything. Called once, when nobody holds a lease. Safe from any thread."""
