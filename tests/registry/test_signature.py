from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.param_specs import ParamSpec
from registry.signature import (
    SINGLE_TYPES,
    ColumnSpec,
    Nested,
    Signature,
    TensorSpec,
    format_signature,
    parse_signature,
)
from tracking.errors import InvalidRequest, NotImplementedHere

NAMES = st.none() | st.text(min_size=1, max_size=8)
COLUMNS = st.builds(
    ColumnSpec, type=st.sampled_from(SINGLE_TYPES), name=NAMES, required=st.booleans()
)
NESTED = st.recursive(
    st.builds(Nested, type=st.sampled_from(SINGLE_TYPES), required=st.booleans()),
    lambda held: (
        st.builds(Nested, type=st.just("array"), items=held)
        | st.builds(Nested, type=st.just("map"), values=held)
        | st.builds(Nested, st.just("object"), properties=st.dictionaries(st.text(), held))
    ),
    max_leaves=4,
)
COLUMNS |= NESTED.filter(lambda nested: nested.type not in SINGLE_TYPES).map(
    lambda nested: ColumnSpec(nested.type, "n", nested=nested)
)
TENSORS = st.builds(
    TensorSpec,
    dtype=st.sampled_from(["float32", "int64", "str", "bool"]),
    shape=st.tuples(st.just(-1), st.integers(-1, 64)),
    name=NAMES,
)
SIDES = st.lists(COLUMNS, max_size=4).map(tuple) | st.lists(TENSORS, max_size=4).map(tuple)


PARAMS = st.lists(
    st.builds(
        ParamSpec,
        name=st.text(min_size=1, max_size=8),
        type=st.sampled_from(["long", "double", "string", "object"]),
        default=st.none() | st.integers(-9, 9) | st.text(max_size=4) | st.lists(st.booleans()),
        shape=st.none() | st.just((-1,)),
    ),
    max_size=3,
).map(tuple)


@given(st.builds(Signature, inputs=SIDES, outputs=SIDES, params=PARAMS))
def test_what_is_written_is_read_back(signature: Signature) -> None:
    assert parse_signature(dict(format_signature(signature))) == signature


def test_a_signature_written_by_mlflow_is_read() -> None:
    entry = {
        "inputs": '[{"type": "double", "name": "sepal length (cm)", "required": true},'
        ' {"type": "string", "name": "colour", "required": false}]',
        "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
        "params": '[{"name": "predict_method", "default": "predict", "type": "string"}]',
    }

    signature = parse_signature(entry)

    assert signature == Signature(
        inputs=(
            ColumnSpec("double", name="sepal length (cm)"),
            ColumnSpec("string", name="colour", required=False),
        ),
        outputs=(TensorSpec("int64", shape=(-1,)),),
        params=(ParamSpec("predict_method", "string", "predict"),),
    )


def test_the_older_word_optional_is_understood() -> None:
    entry = {"inputs": '[{"type": "long", "name": "a", "optional": true}]'}

    assert parse_signature(entry).inputs == (ColumnSpec("long", name="a", required=False),)


def test_a_tensor_is_written_without_the_words_of_columns() -> None:
    signature = Signature(inputs=(TensorSpec("float32", shape=(-1, 4)),))

    assert format_signature(signature) == {
        "inputs": '[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,4]}}]',
        "outputs": None,
        "params": None,
    }


def test_nested_columns_written_by_mlflow_are_read() -> None:
    entry = {
        "inputs": '[{"type": "array", "items": {"type": "long"}, "name": "a", "required": true},'
        '{"type": "object", "properties": {"x": {"type": "double", "required": false}},'
        ' "name": "o", "required": true}, {"type": "any", "name": "w", "required": false}]'
    }

    assert parse_signature(entry).inputs == (
        ColumnSpec("array", "a", nested=Nested("array", items=Nested("long"))),
        ColumnSpec(
            "object",
            "o",
            nested=Nested("object", properties={"x": Nested("double", required=False)}),
        ),
        ColumnSpec("any", "w", required=False, nested=Nested("any")),
    )


def test_a_column_type_that_is_not_known_is_named_in_the_refusal() -> None:
    with pytest.raises(NotImplementedHere, match="type 'sparkml vector'"):
        parse_signature({"inputs": '[{"type": "sparkml vector", "name": "a"}]'})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '[{"name": "a"}]',
        '{"type": "long"}',
        "\x00",
        '[{"type": "array", "items": 7}]',
        '[{"type": "object", "properties": {"a": []}}]',
        '[{"type": "array", "items": ' * 9999,
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        parse_signature({"inputs": text})


@given(st.text() | st.integers() | st.lists(st.integers(), min_size=1))
def test_no_text_leads_to_another_error(text: Any) -> None:
    try:
        parse_signature({"inputs": text})
    except (InvalidRequest, NotImplementedHere):
        return


def test_columns_and_tensors_on_one_side_are_refused() -> None:
    mixed = '[{"type": "long"}, {"type": "tensor", "tensor-spec": {"dtype": "f", "shape": [-1]}}]'

    with pytest.raises(InvalidRequest, match="mixes columns and tensors"):
        parse_signature({"inputs": mixed})
