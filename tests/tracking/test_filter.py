"""The grammar of filters and orders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.errors import InvalidRequest
from tracking.filter import Comparison, Operator, Order, parse_filter, parse_order

CASES = [
    ("", []),
    (None, []),
    ("  ", []),
    ("metrics.a > 0.5", [Comparison("metrics", "a", Operator.GREATER, 0.5)]),
    ("METRICS.a<=-1e3", [Comparison("metrics", "a", Operator.LESS_EQUAL, -1000)]),
    ("params.`a b` = 'x'", [Comparison("params", "a b", Operator.EQUAL, "x")]),
    ('tags."a.b" != "y"', [Comparison("tags", "a.b", Operator.UNEQUAL, "y")]),
    ("metrics.'my metric' = 1", [Comparison("metrics", "my metric", Operator.EQUAL, 1)]),
    ("tags.'a.b'='y'", [Comparison("tags", "a.b", Operator.EQUAL, "y")]),
    ("tags.mlflow.user like 'a%'", [Comparison("tags", "mlflow.user", Operator.LIKE, "a%")]),
    ("name ILIKE 'It''s'", [Comparison(None, "name", Operator.ILIKE, "It's")]),
    ("`run name` = 'x'", [Comparison(None, "run name", Operator.EQUAL, "x")]),
    ("a IN ('x', 'y')", [Comparison(None, "a", Operator.IN, ("x", "y"))]),
    ("a not in ('x')", [Comparison(None, "a", Operator.NOT_IN, ("x",))]),
    ("tags.a IS NULL", [Comparison("tags", "a", Operator.IS_NULL)]),
    (
        "tags.a is not null AND b>=1",
        [
            Comparison("tags", "a", Operator.IS_NOT_NULL),
            Comparison(None, "b", Operator.GREATER_EQUAL, 1),
        ],
    ),
    ("a = 1 and b = 2", [Comparison(None, k, Operator.EQUAL, v) for k, v in (("a", 1), ("b", 2))]),
]

REFUSED = [
    "a",
    "a =",
    "= 1",
    "a = b",
    "a = 'x",
    "a == 1",
    "a = 1 OR b = 2",
    "a = 1 b = 2",
    "a = 1 AND",
    "a = 1;",
    "(a = 1)",
    "a IN 'x'",
    "a IN ()",
    "a IN ('x',)",
    "a IN (1)",
    "a IS 1",
    "a NOT 1",
    "a BETWEEN 1 AND 2",
    "params. = 1",
    "a = 1.2.3",
    "x" * 400_001,
    "a = " + "( " * 30_001,
    "a = " + "1" * 399_000 + "x",
    "a." * 199_000,
    "a = " + "'" * 399_001,
    "params." * 50_000 + "'",
    " AND ".join(["a = 1"] * 101),
]


@pytest.mark.parametrize(("text", "clauses"), CASES)
def test_a_filter_becomes_its_clauses(text: str | None, clauses: list[Comparison]) -> None:
    assert parse_filter(text) == clauses


def test_ten_thousand_ids_are_a_list() -> None:
    ids = tuple(f"{number:032x}" for number in range(10_000))

    (found,) = parse_filter(f"run_id IN ({', '.join(map(repr, ids))})")

    assert found == Comparison(None, "run_id", Operator.IN, ids)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_is_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid filter"):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a", Order(None, "a")),
        ("metrics.a ASC", Order("metrics", "a")),
        ("params.`a b` desc", Order("params", "a b", is_ascending=False)),
    ],
)
def test_an_order_becomes_its_key_and_direction(text: str, order: Order) -> None:
    assert parse_order(text) == order


@pytest.mark.parametrize("text", ["", "ASC DESC x", "a b", "a ASC, b", "1"])
def test_an_order_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_order(text)


PIECES = ["a", "metrics.x", " ", "=", "!=", "'", '"', "`", "1", "AND", "IN", "(", ")", ",", "NOT"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (parse_filter, parse_order):
        try:
            parse(text)
        except InvalidRequest as refusal:
            assert refusal.message.startswith("Invalid filter")  # noqa: PT017 - some parse


@given(st.text(max_size=30))
def test_a_quoted_text_comes_back_as_it_was(value: str) -> None:
    quoted = value.replace("'", "''")

    assert parse_filter(f"a = '{quoted}'") == [Comparison(None, "a", Operator.EQUAL, value)]
