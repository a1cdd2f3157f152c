from typing import Any

import pytest

from registry.param_specs import ParamSpec, conform_params, parse_params
from tracking.errors import InvalidRequest

FACTOR = ParamSpec("factor", "double", 2.0)
SWITCH = ParamSpec("on", "boolean", default=True)
WORDS = ParamSpec("words", "string", ["a"], (-1,))


@pytest.mark.parametrize(
    ("spec", "given", "expected"),
    [
        (FACTOR, {}, 2.0),
        (FACTOR, {"factor": 3}, 3.0),
        (FACTOR, {"factor": None}, None),
        (WORDS, {}, ["a"]),
        (WORDS, {"words": ["b", "c"]}, ["b", "c"]),
        (ParamSpec("n", "long", 1), {"n": 7}, 7),
        (SWITCH, {"on": False}, False),
        (ParamSpec("any", "object", {}), {"any": {"x": [1]}}, {"x": [1]}),
    ],
)
def test_a_param_takes_what_is_given_or_its_default(
    spec: ParamSpec, given: dict[str, Any], expected: Any
) -> None:
    assert conform_params([spec], {**given, "unknown": 1}) == {spec.name: expected}


@pytest.mark.parametrize(
    ("spec", "value", "reason"),
    [
        (FACTOR, "2", "'factor' must be double; a 'str' was given"),
        (FACTOR, True, "must be double"),
        (WORDS, "b", "must be a list of string"),
        (WORDS, [1], "must be string; a 'int'"),
        (ParamSpec("n", "long", 1), 1.5, "must be long"),
        (SWITCH, 1, "must be boolean"),
    ],
)
def test_a_param_of_another_type_is_refused(spec: ParamSpec, value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        conform_params([spec], {spec.name: value})


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"type": "long"}]', "nonsense"])
def test_params_of_another_shape_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="params in the MLmodel file"):
        parse_params(text)
