"""The OpenAPI document of one version: what each protocol takes and gives, with examples. Pure.

Called by ``gateway/repository.py`` for ``…/openapi.json``.
"""

from typing import Any
from urllib.parse import quote

from msgspec import Struct

from gateway.protocols.media import OCTETS, TABULAR
from gateway.protocols.model_schema import (
    Schema,
    generate_schema,
    infer_answer_schema,
    infer_schema,
    predictions_schema,
    scoring_schema,
    v1_schema,
)
from gateway.protocols.plan import plan_for
from gateway.protocols.samples import Sample, generate_body, infer_body, sample_of, scoring_bodies
from registry.references import ByNumber, Live, Ref, format_ref
from registry.signature import Signature

OPENAPI = "3.1.0"
_EVENTS = "text/event-stream"
_JSON = "application/json"
_SCORING = "Scoring"
_INFERENCE = "Inference"


class Described(Struct, frozen=True):
    """What a document is about.

    Args:
        model: The model's name.
        version: The version whose signature it is.
        ref: How it was named: by nothing, then the paths are those of Production and its split.
        signature: What the version takes and gives, or none.
        serving_example: A scoring body that was saved with it, or none.
        prefix: What a proxy in front leaves on paths, or an empty text.
    """

    model: str
    version: int
    ref: Ref
    signature: Signature | None
    serving_example: bytes | None = None
    prefix: str = ""


def model_document(about: Described) -> dict[str, Any]:
    """Return the OpenAPI document of a version."""
    return {
        "openapi": OPENAPI,
        "info": {
            "title": about.model,
            "version": str(about.version),
            "description": _description(about),
        },
        "servers": [{"url": about.prefix.rstrip("/") or "/"}],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "tags": [{"name": "predict"}, {"name": "about"}],
        "paths": _predict_paths(about) | _question_paths(about),
        "components": _components(about.signature),
    }


def _description(about: Described) -> str:
    named = "Production, or its split" if type(about.ref) is Live else format_ref(about.ref)
    known = "" if about.signature else " It was saved without a signature, so any rows are taken."
    return f"Answered by {named}: now version {about.version} of {about.model!r}.{known}"


def _predict_paths(about: Described) -> dict[str, Any]:
    model = quote(about.model, safe="")
    ref = _segment(about.ref)
    by_ref, by_version = (f"/{ref}", f"/versions/{ref}") if ref else ("", "")
    sample = sample_of(about.signature, about.serving_example)
    scoring = _scoring_examples(sample, about.signature)
    infer = None if sample is None else infer_body(sample)
    generate = None if sample is None else generate_body(sample, plan_for(about.signature))
    generated = {_JSON: _content(generate_schema(about.signature), _whole("generate", generate))}
    v1 = {name: body for name, body in scoring.items() if name in ("instances", "inputs")}
    return {
        f"/models/{model}{by_ref}/invocations": _operation(
            "MLflow scoring", ("Scored", _SCORING), _scoring_content(about.signature, scoring)
        ),
        f"/v2/models/{model}{by_version}/infer": _operation(
            "Open Inference Protocol v2",
            ("Inferred", _INFERENCE),
            {_JSON: _content(infer_schema(about.signature), _whole("infer", infer)), OCTETS: {}},
        ),
        f"/v2/models/{model}{by_version}/generate": _operation(
            "the generate extension of v2", ("Generated", _INFERENCE), generated
        ),
        f"/v2/models/{model}{by_version}/generate_stream": _operation(
            "the same, as server-sent events: a piece each, or one for all",
            ("Streamed", _INFERENCE),
            generated,
        ),
        f"/v1/models/{model}{by_version}:predict": _operation(
            "TensorFlow Serving's REST",
            ("Predicted", _INFERENCE),
            {_JSON: _content(v1_schema(about.signature), v1)},
        ),
    }


def _question_paths(about: Described) -> dict[str, Any]:
    model = quote(about.model, safe="")
    ref = _segment(about.ref)
    by_version = f"/versions/{ref}" if ref else ""
    paths = {
        f"/v2/models/{model}{by_version}": "Names, types and shapes of inputs and outputs.",
        f"/v2/models/{model}{by_version}/ready": "Whether it can answer now.",
    }
    told = {"description": "The answer.", "content": {_JSON: {"schema": {"type": "object"}}}}
    return {
        path: {
            "get": {
                "tags": ["about"],
                "summary": summary,
                "operationId": f"GET {path}",
                "responses": {"200": told, **_refusals(_INFERENCE)},
            }
        }
        for path, summary in paths.items()
    }


def _segment(ref: Ref) -> str:
    """Return what stands for a reference in a path; nothing for none."""
    if type(ref) is Live:
        return ""
    return str(ref.version) if type(ref) is ByNumber else quote(format_ref(ref), safe="@")


def _scoring_examples(sample: Sample | None, signature: Signature | None) -> dict[str, Any]:
    if sample is None:
        return {}
    plan = plan_for(signature)
    is_table = bool(plan.columns) or (not plan.tensors and bool(sample.names))
    rows = scoring_bodies(sample, is_table=is_table)
    return {name: {name: given} for name, given in rows.items()}


def _scoring_content(signature: Signature | None, examples: dict[str, Any]) -> dict[str, Any]:
    json = {_JSON: _content(scoring_schema(signature), examples)}
    return json | {media_type: {} for media_type in TABULAR}


def _content(schema: Schema, bodies: dict[str, Any]) -> dict[str, Any]:
    """Return a body's schema, and examples by name."""
    examples = {name: {"value": body} for name, body in bodies.items()}
    return {"schema": schema, "examples": examples} if examples else {"schema": schema}


def _whole(name: str, body: dict[str, Any] | None) -> dict[str, Any]:
    return {} if body is None else {name: body}


def _operation(protocol: str, shapes: tuple[str, str], content: dict[str, Any]) -> dict[str, Any]:
    answer, refusal = shapes
    answered = {
        "description": "The answer; its headers say which version gave it.",
        "headers": {name: {"schema": {"type": "string"}} for name in _TOLD},
        "content": {
            _EVENTS if answer == "Streamed" else _JSON: {
                "schema": {"$ref": f"#/components/schemas/{answer}"}
            }
        },
    }
    return {
        "post": {
            "tags": ["predict"],
            "summary": f"Predict: {protocol}.",
            "operationId": f"predict{answer}",
            "parameters": list(_HEADERS),
            "requestBody": {"required": True, "content": content},
            "responses": {"200": answered, **_refusals(refusal)},
        }
    }


def _header(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


_HEADERS = (
    _header(
        "Stagedoor-Key",
        {"type": "string", "maxLength": 512},
        "A sticky key: the same one always gets the same variant of a split.",
    ),
    _header(
        "Stagedoor-Timeout-Ms",
        {"type": "integer", "minimum": 1},
        "After so long the answer is of no use any more: then it is 504.",
    ),
    _header(
        "Stagedoor-Priority",
        {"type": "string", "enum": ["critical", "default", "batch", "shadow"]},
        "Who goes first where requests wait, and is refused last.",
    ),
)
_TOLD = (
    "Stagedoor-Model", "Stagedoor-Version", "Stagedoor-Stage", "Stagedoor-Variant",
    "Stagedoor-Epoch", "Stagedoor-Worker", "Stagedoor-Request-Id",
)  # fmt: skip
_REFUSALS = {
    "400": "The body is not what its type says, or does not fit; it names column and row.",
    "401": "This server takes a token.",
    "403": "The token may not predict.",
    "404": "There is no such model or version, or the stage is empty.",
    "413": "The body is too large, or holds too many values.",
    "415": "A content type that is not served.",
    "429": "You ask too often; Retry-After says when to try again.",
    "500": "The model raised on these rows.",
    "503": "It cannot answer now; Retry-After says when to try again.",
    "504": "The model took too long.",
}


def _refusals(shape: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{shape}Refusal"}
    return {
        status: {"description": text, "content": {_JSON: {"schema": schema}}}
        for status, text in _REFUSALS.items()
    }


def _components(signature: Signature | None) -> dict[str, Any]:
    predictions = predictions_schema(signature)
    text = {"type": "string"}
    by_rows = {"required": ["predictions"], "properties": {"predictions": predictions}}
    by_columns = {"required": ["outputs"], "properties": {"outputs": {}}}
    v2_refusal = {"error": text, "code": text, "request_id": text, "retryable": {"type": "boolean"}}
    scoring_refusal = {"error_code": text, "message": text}
    return {
        "schemas": {
            "Scored": {"type": "object", **by_rows},
            "Inferred": infer_answer_schema(signature),
            "Generated": {
                "type": "object",
                "required": ["model_name", "model_version"],
                "properties": {"model_name": text, "model_version": text},
            },
            "Streamed": {**text, "description": "Each event's data is an object as of generate."},
            "Predicted": {"type": "object", "oneOf": [by_rows, by_columns]},
            f"{_SCORING}Refusal": _all_required(scoring_refusal),
            f"{_INFERENCE}Refusal": _all_required(v2_refusal),
        },
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
        },
    }


def _all_required(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
