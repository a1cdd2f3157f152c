"""A version loaded and ready to answer, whatever answers: a runner process now, engines later."""

from collections.abc import Mapping
from typing import Any, Protocol

from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import Batch, Prediction


class Servable(Protocol):
    """A version ready to answer. Used on the event loop only, but for ``close``."""

    key: VersionKey
    signature: Signature | None

    async def predict(self, batch: Batch, params: Mapping[str, Any]) -> Prediction:
        """Answer one request's rows.

        Raises:
            ModelFailed: The model raised on these rows.
            ModelNotReady: What answers has died and is not back yet.
        """

    def close(self) -> None:
        """Free everything. Called once, when nobody holds a lease. Safe from any thread."""
