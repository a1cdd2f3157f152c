"""The datatypes of the Open Inference Protocol, in numpy and in signatures. Pure."""

from typing import Any

import numpy as np

from gateway.protocols.elements import Element, Kind
from tracking.errors import InvalidRequest, ModelFailed

BYTES = "BYTES"
"""Text, or bytes: in JSON a string each."""


def _numbers(kind: Kind, names: dict[str, str]) -> dict[str, Element]:
    return {label: Element(label, kind, np.dtype(dtype)) for label, dtype in names.items()}


_INTEGERS = {
    "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
}  # fmt: skip

ELEMENTS = {
    "BOOL": Element("BOOL", Kind.BOOLEAN, np.dtype(np.bool_)),
    BYTES: Element(BYTES, Kind.TEXT, np.dtype(object)),
    **_numbers(Kind.FLOATING, {"FP16": "float16", "FP32": "float32", "FP64": "float64"}),
    **_numbers(Kind.INTEGER, _INTEGERS),
}
"""By the datatype that a request names; JSON carries no null."""

_LABELS = {element.dtype: label for label, element in ELEMENTS.items()}
_BYTES_KINDS = "USOM"


def datatype_element(label: str) -> Element:
    """Return what the values of a datatype are.

    Raises:
        InvalidRequest: There is no such datatype, or JSON cannot carry it.
    """
    element = ELEMENTS.get(label)
    if element is None:
        names = ", ".join(ELEMENTS)
        raise InvalidRequest(
            f"{label[:32]!r} is no datatype that JSON carries: use one of {names}."
        )
    return element


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Return the datatype in which an answer of this dtype is written.

    Raises:
        ModelFailed: There is none.
    """
    if dtype.kind in _BYTES_KINDS:
        return BYTES
    label = _LABELS.get(dtype)
    if label is None:
        raise ModelFailed(f"The model answered with {dtype.name}, which no datatype can hold.")
    return label
