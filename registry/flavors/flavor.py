"""What a flavor is: four callables. The seam between the model folder and a library."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from registry.tensors import Batch

Options = Mapping[str, Any]
"""What the MLmodel file says under a flavor's name."""


class Flavor(Struct, frozen=True):
    """A saved format. Immutable.

    Args:
        name: Its key among the flavors of an MLmodel file.
        save: Writes a model into a folder and returns the ``flavors`` entry for it.
        load: Reads it back. May run code of the model: in a child process, or where the user asked.
        answer: Asks the model for one batch by a method; returns what the library returns.
        predict: The same for data as a user of the library has them.
    """

    name: str
    save: Callable[[Any, Path, str], dict[str, dict[str, Any]]]
    load: Callable[[Path, Options], Any]
    answer: Callable[[Any, Batch, str], Any]
    predict: Callable[[Any, Any, str], Any]
