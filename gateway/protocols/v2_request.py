"""What a v2 inference request says besides its tensors: id, parameters, outputs. Pure.

Called by ``v2_rest.py`` and ``v2_binary.py``, at the end of ``decode``.
"""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from msgspec import Struct

from gateway.protocols.caps import check_params
from gateway.protocols.refusals import shown
from registry.signature import Signature
from registry.tensors import METHODS, PREDICT_METHOD, Batch, InferRequest
from tracking.errors import InvalidRequest, MalformedBody

ROUTING_KEY = "routing_key"
"""The parameter that is a sticky key and not the model's."""
NULLS = "nan_as_null"
"""The parameter that lets an answer hold ``null`` for what is not a finite number."""
ALL_RAW = "binary_data_output"
"""The parameter of a request that asks for every output as raw bytes."""
RAW = "binary_data"
"""The parameter of a wanted output that asks for it as raw bytes, or not."""

TIMEOUT, PRIORITY = "timeout", "priority"
"""The parameter that says how many microseconds a request may take; 0 stands for none."""

RESERVED = frozenset(
    {TIMEOUT, PRIORITY, "sequence_id", "sequence_start", "sequence_end", "headers", ALL_RAW}
)
"""The protocol's own parameters: taken, and kept from the model. None of them orders a stateful
sequence here."""
RESERVED_PREFIX = "triton_"
_NOT_SERVED = ("classification", "shared_memory_region")

Scalar = bool | int | float | str | None


class Wanted(Struct, frozen=True, gc=False):
    """One output that a request asks for."""

    name: str
    parameters: dict[str, Scalar] | None = None


def request_of(
    batch: Batch,
    request_id: str | None,
    parameters: Mapping[str, Scalar] | None,
    outputs: Sequence[Wanted] | None,
    signature: Signature | None = None,
) -> InferRequest:
    """Put a request together.

    An output with the name of a method, such as ``predict_proba``, asks for that method, unless the
    model has an output of that name.

    Raises:
        MalformedBody: A parameter has the wrong type.
        InvalidRequest: It asks for something that is not served here.
    """
    if parameters is None and outputs is None:
        return InferRequest(batch, request_id=request_id)
    given = parameters or {}
    check_params(dict(given))
    key = given.get(ROUTING_KEY)
    if not isinstance(key, str | NoneType):
        raise MalformedBody(f"Parameter {ROUTING_KEY!r} is not a string.")
    return InferRequest(
        batch,
        params=_for_the_model(given) | _method_wanted(given, outputs or (), signature),
        request_id=request_id,
        outputs=tuple(wanted.name for wanted in outputs or ()),
        routing_key=key,
        allows_null=given.get(NULLS) is True,
        is_raw=_flag(given, ALL_RAW) or False,
        raw_by_name=_raw_by_name(outputs or ()),
        timeout_us=timeout_us_of(given.get(TIMEOUT)),
        priority=given.get(PRIORITY),
    )


def check_served(parameters: Mapping[str, Scalar] | None, name: str) -> None:
    """Refuse parameters of a tensor that would change its meaning and are not served here.

    Raises:
        InvalidRequest: There is one.
    """
    for parameter in _NOT_SERVED:
        if parameters is not None and parameter in parameters:
            raise InvalidRequest(f"Tensor {shown(name)}: {parameter!r} is not served here.")


def _for_the_model(given: Mapping[str, Scalar]) -> dict[str, Any]:
    ours = RESERVED | {ROUTING_KEY, NULLS}
    return {
        name: value
        for name, value in given.items()
        if name not in ours and not name.startswith(RESERVED_PREFIX)
    }


def timeout_us_of(value: Scalar) -> int | None:
    """Return how long a request may take by its parameter; ``None`` where that does not say.

    Raises:
        InvalidRequest: It is no whole number of microseconds.
    """
    if value is None:
        return None
    if type(value) is not int or value < 0:
        message = f"Parameter {TIMEOUT!r} is no whole number of microseconds: send one, or none."
        raise InvalidRequest(message)
    return value or None


def _method_wanted(
    given: Mapping[str, Scalar], outputs: Sequence[Wanted], signature: Signature | None
) -> dict[str, str]:
    """Return the parameter that asks for the method which an output names, if one does."""
    own = {spec.name for spec in signature.outputs} if signature else set()
    methods = {output.name for output in outputs if output.name in METHODS} - own
    if not methods:
        return {}
    asked = {output.name for output in outputs} | {given.get(PREDICT_METHOD, min(methods))}
    if len(asked) > 1:
        names = ", ".join(sorted(map(repr, asked)))
        raise InvalidRequest(f"One request asks one method of a model: send one each for {names}.")
    return {PREDICT_METHOD: methods.pop()}


def _raw_by_name(outputs: Sequence[Wanted]) -> dict[str, bool]:
    found = {}
    for wanted in outputs:
        if wanted.parameters is None:
            continue
        check_served(wanted.parameters, wanted.name)
        is_raw = _flag(wanted.parameters, RAW)
        if is_raw is not None:
            found[wanted.name] = is_raw
    return found


def _flag(parameters: Mapping[str, Scalar], name: str) -> bool | None:
    value = parameters.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise MalformedBody(f"Parameter {name!r} is neither true nor false.")
