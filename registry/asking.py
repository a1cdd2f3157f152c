"""What a call asks of a model besides rows, by its params; what no rows can make right. Pure.

Used in the model's own process, and by a worker that answers in its place: both refuse alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from registry.flavors.flavor import Question
from registry.param_specs import ParamSpec, conform_params
from registry.tensors import PREDICT_METHOD
from tracking.errors import InvalidRequest


def read_question(
    params: Mapping[str, Any], default_method: str, specs: Sequence[ParamSpec]
) -> Question:
    """Return what a call's params ask for.

    Args:
        params: As the caller sent them; those that the signature does not know are left out.
        default_method: Asked where the call names none.
        specs: The params of the signature.

    Raises:
        InvalidRequest: A param has another type, or is out of its range.
    """
    method = params.get(PREDICT_METHOD, default_method)
    if not isinstance(method, str):
        raise InvalidRequest(f"{PREDICT_METHOD!r} must be a text, not {type(method).__name__!r}.")
    return Question(method, conform_params(specs, params))


def check_method(method: str, offered: Sequence[str]) -> None:
    """Refuse a method that a model has not.

    Raises:
        InvalidRequest: It is none of those offered.
    """
    if method not in offered:
        raise InvalidRequest(
            f"The model has no method {method!r}; it has {', '.join(offered) or 'none of them'}."
        )


def no_documents() -> InvalidRequest:
    """Return the refusal of a document, by a model that takes rows."""
    return InvalidRequest("The model takes rows and no documents: send 'inputs', or the like.")
