"""Scoring bodies that are a document and no rows, as callers of language models send them. Pure.

Called by ``mlflow_scoring.py`` where a body has none of the formats of rows. Models that talk get
theirs by ``events.py``.
"""

from collections.abc import Mapping
from typing import Any

from gateway.protocols.caps import check_params
from gateway.protocols.conform import conform_records
from gateway.protocols.elements import ANYTHING, convert
from gateway.protocols.plan import Plan
from gateway.protocols.refusals import in_column
from registry.signature import Signature
from registry.tensors import DOCUMENT, Batch, InferRequest

DOCUMENT_KEYS = ("messages", "prompt", "input")
"""What says that an object is one."""


def document_request(
    parsed: dict[str, Any], plan: Plan, signature: Signature | None
) -> InferRequest | None:
    """Return the request that an object without rows is; ``None`` if it is no document.

    A model without a signature gets it as it came. One whose signature names a key of documents as
    a column gets it as a row; what are its params go there.

    Raises:
        MalformedBody: It holds an integer of more than 64 bits.
        InputMismatch: It does not fit the signature.
    """
    keys = [key for key in DOCUMENT_KEYS if key in parsed]
    if not keys:
        return None
    if signature is None or not signature.inputs:
        check_params(parsed)
        return InferRequest(_as_it_came(parsed), {DOCUMENT: True}, is_document=True)
    if not set(keys) & set(plan.names):
        return None
    known = {spec.name for spec in signature.params}
    params = {name: value for name, value in parsed.items() if name in known}
    record = {name: value for name, value in parsed.items() if name not in known}
    check_params(params)
    return InferRequest(conform_records([record], plan), params, is_document=True)


def _as_it_came(parsed: Mapping[str, Any]) -> Batch:
    cells = [convert([value], ANYTHING, in_column(name)) for name, value in parsed.items()]
    return Batch(tuple(parsed), tuple(cells), is_matrix=False)
