"""Documents of models: valid, and their examples are bodies that are taken."""

import json
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.protocols import mlflow_scoring, v1_rest, v2_generate, v2_rest
from gateway.protocols.model_openapi import Described, model_document
from registry.param_specs import ParamSpec
from registry.references import ByAlias, ByNumber, Latest, Live, Ref
from registry.signature import COLUMN_TYPES, ColumnSpec, Signature, TensorSpec

EVERY_TYPE = Signature(
    inputs=tuple(
        ColumnSpec(name, f"{name} of it", required=at % 2 == 0)
        for at, name in enumerate(COLUMN_TYPES)
    ),
    outputs=(ColumnSpec("long", "grade"), ColumnSpec("string", "why")),
)
SIGNATURES = {
    "every type": EVERY_TYPE,
    "a matrix": Signature((TensorSpec("float64", (-1, 3)),), (TensorSpec("int64", (-1,)),)),
    "images": Signature((TensorSpec("uint8", (-1, 4, 4, 3)),), (TensorSpec("float32", (-1, 10)),)),
    "named tensors": Signature(
        (TensorSpec("float32", (-1, 2), "x"), TensorSpec("str", (-1,), "t"))
    ),
    "nameless columns": Signature((ColumnSpec("double"), ColumnSpec("double"))),
    "mixed nameless columns": Signature((ColumnSpec("double"), ColumnSpec("string"))),
    "one column": Signature((ColumnSpec("string", "text"),), (ColumnSpec("double", "score"),)),
    "numbers": Signature((ColumnSpec("float", "a"), ColumnSpec("float", "b"))),
    "none": None,
}
NAMELESS = [
    (SIGNATURES[name], "/generate") for name in ("nameless columns", "mixed nameless columns")
]
"""Whose rows are no objects."""
WIRES: dict[str, Any] = {
    ":predict": v1_rest,
    "/infer": v2_rest,
    "/invocations": mlflow_scoring,
    "/generate": v2_generate,
}
PARAMETRIZED = pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)


def document(signature: Signature | None, ref: Ref = Live(), **about: Any) -> Any:  # noqa: B008
    described = Described("iris", 7, ref, signature, **about)
    return json.loads(json.dumps(model_document(described)))


def bodies(told: Any, ending: str) -> list[Any]:
    """Return schema and example bodies of the path with an ending."""
    (item,) = [item for path, item in told["paths"].items() if path.endswith(ending)]
    content = item["post"]["requestBody"]["content"]["application/json"]
    return [content["schema"], *(each["value"] for each in content.get("examples", {}).values())]


@PARAMETRIZED
def test_a_document_is_valid(signature: Signature | None) -> None:
    OpenAPIV31SpecValidator(document(signature)).validate()


def test_a_document_that_is_none_would_be_seen() -> None:
    told = document(EVERY_TYPE)
    del told["paths"]["/models/iris/invocations"]["post"]["responses"]["200"]["description"]

    assert list(OpenAPIV31SpecValidator(told).iter_errors())


@PARAMETRIZED
def test_every_example_fits_its_schema_and_is_taken(signature: Signature | None) -> None:
    told = document(signature)

    for ending, wire in WIRES.items():
        schema, *examples = bodies(told, ending)
        assert bool(examples) is (signature is not None and (signature, ending) not in NAMELESS)
        for example in examples:
            jsonschema.Draft202012Validator(schema).validate(example)
            wire.decode(json.dumps(example).encode(), "application/json", signature)


def test_a_table_is_shown_in_all_four_formats() -> None:
    _, *examples = bodies(document(EVERY_TYPE), "/invocations")

    assert [next(iter(body)) for body in examples] == list(mlflow_scoring.FORMATS)


def test_a_schema_takes_what_is_missing_only_where_it_may_be() -> None:
    schema, _, records, *_ = bodies(document(EVERY_TYPE), "/invocations")
    (row,) = records["dataframe_records"]
    validator = jsonschema.Draft202012Validator(schema)
    without = [{name: row[name] for name in row if name != left_out} for left_out in row]

    are_taken = [validator.is_valid({"dataframe_records": [each]}) for each in without]

    assert are_taken == [not spec.required for spec in EVERY_TYPE.inputs]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        {"instances": [["a", 1.0]]},
        {"dataframe_split": {"columns": ["a", "c"], "data": [[1, 2]]}},
        {"inputs": {"a": [1.0]}},
        {"rows": [[1.0, 2.0]]},
        {"instances": [[1.0, 2.0]], "inputs": [[1.0, 2.0]]},
    ],
)
def test_what_the_decoder_refuses_does_not_fit_the_schema(wrong: Any) -> None:
    schema, *_ = bodies(document(SIGNATURES["numbers"]), "/invocations")

    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


def test_the_example_is_the_models_own_and_of_two_rows() -> None:
    own = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, None], [3, 4], [5, 6]]}}

    told = document(SIGNATURES["numbers"], serving_example=json.dumps(own).encode())

    _, split, records, *_ = bodies(told, "/invocations")
    assert split["dataframe_split"]["data"] == [[1.5, None], [3.0, 4.0]]
    assert records["dataframe_records"][1] == {"a": 3.0, "b": 4.0}
    assert len(bodies(told, "/infer")) == 1, "v2 has no null"


@pytest.mark.parametrize("stored", [b"", b"[", b'{"inputs": [["x", "y"]]}', b"\xff" * 9])
def test_an_example_that_does_not_fit_is_replaced(stored: bytes) -> None:
    told = document(SIGNATURES["numbers"], serving_example=stored)

    _, split, *_ = bodies(told, "/invocations")
    assert split["dataframe_split"] == {"columns": ["a", "b"], "data": [[0.5, 0.5]]}


def test_a_model_without_a_signature_shows_the_example_it_was_saved_with() -> None:
    told = document(None, serving_example=b'{"inputs": [[1.0, 2.0]]}')

    _, *examples = bodies(told, "/invocations")
    assert {"instances": [[1.0, 2.0]]} in examples


def test_a_tensor_too_large_to_read_has_no_example() -> None:
    told = document(Signature((TensorSpec("float32", (-1, 224, 224, 3)),)))

    assert len(bodies(told, "/infer")) == 1


@pytest.mark.parametrize(
    ("ref", "scoring", "infer"),
    [
        (Live(), "/models/iris/invocations", "/v2/models/iris/infer"),
        (ByNumber(7), "/models/iris/7/invocations", "/v2/models/iris/versions/7/infer"),
        (Latest(), "/models/iris/latest/invocations", "/v2/models/iris/versions/latest/infer"),
        (
            ByAlias("a b"),
            "/models/iris/@a%20b/invocations",
            "/v2/models/iris/versions/@a%20b/infer",
        ),
    ],
)
def test_paths_are_those_of_the_reference(ref: Ref, scoring: str, infer: str) -> None:
    assert {scoring, infer} < document(EVERY_TYPE, ref)["paths"].keys()


def test_a_name_is_encoded_and_a_prefix_kept() -> None:
    described = Described("a/{b} c", 1, Live(), EVERY_TYPE, prefix="/mlops/")

    told = model_document(described)

    OpenAPIV31SpecValidator(told).validate()
    assert "/models/a%2F%7Bb%7D%20c/invocations" in told["paths"]
    assert told["servers"] == [{"url": "/mlops"}]


def test_what_may_be_asked_besides_rows_is_told() -> None:
    signature = Signature((ColumnSpec("double", "a"),), params=(ParamSpec("k", "long", 3),))

    told = document(signature)
    post = told["paths"]["/models/iris/invocations"]["post"]

    schema, *_ = bodies(told, "/invocations")
    params = schema["oneOf"][0]["properties"]["params"]["properties"]
    assert params == {"k": {"type": "integer", "default": 3}}
    assert [header["name"] for header in post["parameters"]] == [
        "Stagedoor-Key",
        "Stagedoor-Timeout-Ms",
        "Stagedoor-Priority",
    ]
    assert "429" in post["responses"]
    assert "/v2/models/iris/generate_stream" in told["paths"]
