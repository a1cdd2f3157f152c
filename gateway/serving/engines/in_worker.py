"""What answers inside the worker, whatever it is made of: arrays, or a graph."""

from typing import Any, Protocol

from numpy.typing import NDArray

from gateway.serving.engines.description import AnyDescription
from registry.tensors import Batch, Prediction


class InWorker(Protocol):
    """Immutable, safe from any thread."""

    default_method: str

    @property
    def description(self) -> AnyDescription:
        """What it does."""

    def takes(self, method: object) -> bool:
        """Whether it answers for a method of the model."""

    def arrange(self, batch: Batch) -> NDArray[Any] | None:
        """Return a batch as one matrix, or ``None`` when it is left to the model itself.

        Raises:
            Refused: The model raises on rows of this shape or with these names.
        """

    def answer(self, rows: NDArray[Any], method: str) -> Any:
        """Return what a method of the model gives for rows, as arranged.

        Raises:
            Refused: The model raises on them.
        """

    def tell(self, answer: Any) -> Prediction:
        """Return an answer with its names."""

    def sample(self, rows: int) -> NDArray[Any]:
        """Return so many rows that it takes, as arranged."""

    def predict_batch(self, batch: Batch, method: str) -> Prediction | None:
        """Answer a batch from end to end; ``None`` leaves it to the model itself.

        Raises:
            ModelFailed: The model raises on it.
        """
