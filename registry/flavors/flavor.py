"""What a flavor is: four callables. The seam between the model folder and a library."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from registry.tensors import Batch

Options = Mapping[str, Any]
"""What the MLmodel file says under a flavor's name."""


class Talk(Struct, frozen=True):
    """How models are asked that answer in pieces, or take a whole document. Immutable.

    Args:
        can_talk: Whether a model is such.
        stream: Asks a model for the pieces of its answer to a batch or a document.
        answer: Asks a model for its answer to a document, all at once.
    """

    can_talk: Callable[[Any], bool]
    stream: Callable[[Any, Batch | Mapping[str, Any], Mapping[str, Any]], Iterable[Any]]
    answer: Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Any]


class Question(Struct, frozen=True):
    """What a call asks of a model besides rows. Immutable.

    Args:
        method: The method to ask.
        params: What else it says: the signature's params, in their types.
    """

    method: str = "predict"
    params: Mapping[str, Any] = {}


class Flavor(Struct, frozen=True):
    """A saved format. Immutable.

    Args:
        name: Its key among the flavors of an MLmodel file.
        save: Writes a model into a folder and returns the ``flavors`` entry for it.
        load: Reads it back. May run code of the model: in a child process, or where the user asked.
        answer: Asks the model for one batch; returns what the library returns.
        predict: The same for data as a user of the library has them.
        talk: How its models are asked that talk; none where there are no such.
        methods: Which methods a model offers; none where only asking it tells.
    """

    name: str
    save: Callable[[Any, Path, str], dict[str, dict[str, Any]]]
    load: Callable[[Path, Options], Any]
    answer: Callable[[Any, Batch, Question], Any]
    predict: Callable[[Any, Any, Question], Any]
    talk: Talk | None = None
    methods: Callable[[Any], tuple[str, ...]] | None = None
