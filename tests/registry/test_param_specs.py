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
        (ParamSpec("free", "double"), {"free": None}, None),
        (ParamSpec("n", "integer", 1), {"n": -(2**31)}, -(2**31)),
        (ParamSpec("x", "float", 1), {"x": 3e38}, 3e38),
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
        (FACTOR, None, "'factor' must be double; null was given"),
        (WORDS, None, "'words' must be a list of string; null was given"),
        (WORDS, ["a", None], "'words' must be string; null"),
        (ParamSpec("n", "integer", 1), 2**31, "'n' is out of the range of integer: -2147483648 to"),
        (ParamSpec("n", "integer", 1), 1 << 40, "'n' is out of the range of integer"),
        (ParamSpec("n", "long", [1], (-1,)), [2**63], "'n' is out of the range of long"),
        (ParamSpec("x", "float", 1.0), 1e39, "'x' is out of the range of float"),
    ],
)
def test_a_param_of_another_type_is_refused(spec: ParamSpec, value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        conform_params([spec], {spec.name: value})


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"type": "long"}]', "nonsense"])
def test_params_of_another_shape_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="params in the MLmodel file"):
        parse_params(text)
