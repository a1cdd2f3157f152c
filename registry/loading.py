"""From a model folder to an object that answers.

Called in a runner's process, which speaks batches, and in the process of a user who asked for the
model, who speaks arrays and DataFrames.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from registry.answers import documents_prediction, to_prediction
from registry.asking import no_documents, read_question
from registry.flavors.flavor import Flavor, Question
from registry.flavors.table import PYTHON_FUNCTION, choose_flavor
from registry.input_example import read_input_example
from registry.model_folder import ModelConfig, read_model_folder
from registry.pieces import plain_piece
from registry.signature import Signature
from registry.tensors import DOCUMENT, Batch, Prediction
from tracking.errors import InvalidRequest, ModelFailed, NotImplementedHere, StagedoorError

_BY_ROWS = frozenset({"sklearn", "xgboost", "lightgbm"})
_NOTHING_WHOLE = (
    "The model answers in pieces only: ask for server-sent events (generate_stream, or 'Accept: "
    "text/event-stream'), or over gRPC by ModelStreamInfer with the parameter 'stream': true."
)


class LoadedModel:
    """A model in memory. Safe from any thread as far as the library behind it is.

    Args:
        folder: Where it was loaded from; its example is read from there.
        config: Its MLmodel file.
        flavor: What it was loaded with.
        native: The library's own object.
    """

    def __init__(self, folder: Path, config: ModelConfig, *, flavor: Flavor, native: Any) -> None:
        self.config = config
        self.native = native
        self._folder = folder
        self._flavor = flavor
        generic = config.flavors.get(PYTHON_FUNCTION, {})
        self.default_method = str(generic.get("predict_fn") or "predict")

    @property
    def signature(self) -> Signature | None:
        """What it takes and gives, or none."""
        return self.config.signature

    @property
    def flavor(self) -> str:
        """The name of its flavor."""
        return self._flavor.name

    def input_example(self) -> Batch | None:
        """Return the rows it was saved with, or ``None``.

        Raises:
            InvalidRequest: The file is missing or does not fit the signature.
        """
        return read_input_example(self._folder, self.config)

    def predict_batch(self, batch: Batch, params: Mapping[str, Any]) -> Prediction:
        """Answer one batch.

        Args:
            batch: The rows, conformed to the signature.
            params: ``predict_method`` names the method to ask; those of the signature go to the
                model, others are ignored, as MLflow does.

        Raises:
            InvalidRequest: The model has no such method, answers in pieces only, or a param has
                another type.
            ModelFailed: It raised on these rows, or gave something that is no plain data, or, by a
                library whose models answer each row, another number of them.
        """
        question = self._question(params)
        method = question.method
        try:
            if params.get(DOCUMENT):
                return documents_prediction(self._answer_documents(batch))
            answer = self._flavor.answer(self.native, batch, question)
        except StagedoorError:
            raise
        except Exception as error:
            raise self._failure(error, f"in {method!r} on these {batch.rows} rows") from error
        return to_prediction(answer, batch.rows, exact=self.flavor in _BY_ROWS)

    def _answer_documents(self, batch: Batch) -> list[Any]:
        """Answer each row as the document that it is, by itself."""
        talk = self._flavor.talk
        if talk is None or not (self.can_talk or self._flavor.name == PYTHON_FUNCTION):
            raise no_documents()
        rows = zip(*(array.tolist() for array in batch.arrays), strict=True)
        documents = [dict(zip(batch.names, row, strict=True)) for row in rows]
        return [talk.answer(self.native, document, {}) for document in documents]

    @property
    def methods(self) -> tuple[str, ...] | None:
        """The methods that a call may name; none where only asking the model tells."""
        offered = self._flavor.methods
        try:
            return None if offered is None else offered(self.native)
        except Exception:  # noqa: BLE001  a model's attribute may raise anything
            return None

    @property
    def can_talk(self) -> bool:
        """Whether it gives its answers in pieces."""
        talk = self._flavor.talk
        return talk is not None and talk.can_talk(self.native)

    @property
    def takes_documents(self) -> bool:
        """Whether it takes a document as it came: a signature says that it takes rows."""
        return self.can_talk and self.signature is None

    def talk(
        self, asked: Batch | Mapping[str, Any], params: Mapping[str, Any], *, is_stream: bool
    ) -> Iterator[Any]:
        """Yield the pieces of an answer, or all of it as one.

        Args:
            asked: Rows, conformed to the signature, or a document.
            params: What is asked besides.
            is_stream: Whether pieces are wanted.

        Raises:
            InvalidRequest: All of it is wanted as one, and the model answers in pieces only.
            NotImplementedHere: The model does not talk.
            ModelFailed: It raised, or gave what JSON cannot hold.
        """
        talk = self._flavor.talk
        if talk is None or not self.can_talk:
            raise NotImplementedHere("The model has no predict_stream: ask it for a whole answer.")
        if self.signature is not None:
            params = self._question(params).params
        pieces: Any = ()
        try:
            if is_stream or isinstance(asked, Batch):
                pieces = talk.stream(self.native, asked, params)
            else:
                pieces = [talk.answer(self.native, asked, params)]
            for piece in pieces:
                yield plain_piece(piece)
        except StagedoorError:
            raise
        except Exception as error:
            raise self._failure(error, "on this") from error
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Answer for a user: what the library returns, with the library's own exceptions.

        Args:
            data: A DataFrame, an array, a list of rows, a list of dicts or a mapping of columns.
            params: As in ``predict_batch``.

        Raises:
            InvalidRequest: The model has no such method.
        """
        return self._flavor.predict(self.native, data, self._question(params or {}))

    def _failure(self, error: Exception, where: str) -> StagedoorError:
        """Say that the model raised, or how to ask one that only talks."""
        if self.can_talk and isinstance(error, NotImplementedError):
            return InvalidRequest(_NOTHING_WHOLE)
        # The text of the exception may quote the caller's rows: its class has to do.
        return ModelFailed(f"The model raised {type(error).__name__} {where}.")

    def _question(self, params: Mapping[str, Any]) -> Question:
        specs = () if self.signature is None else self.signature.params
        return read_question(params, self.default_method, specs)


def load_folder(folder: Path) -> LoadedModel:
    """Load a model folder. This may run code of whoever saved it.

    Raises:
        ResourceMissing: A file is missing.
        InvalidRequest: A file cannot be read, or needs a module that is not installed.
        NotImplementedHere: The flavor, format or signature is not one we know.
    """
    config = read_model_folder(folder)
    flavor, options = choose_flavor(config.flavors)
    _add_code(folder, config)
    native = flavor.load(folder, options)
    return LoadedModel(folder, config, flavor=flavor, native=native)


def _add_code(folder: Path, config: ModelConfig) -> None:
    """Make the modules that were saved beside the model importable."""
    code = config.flavors.get(PYTHON_FUNCTION, {}).get("code")
    if isinstance(code, str) and (path := str(folder / code)) not in sys.path:
        sys.path.insert(0, path)
