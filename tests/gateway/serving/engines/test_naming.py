import pytest

from gateway.serving.engines.description import (
    AnyDescription,
    Choice,
    ConvertedGraph,
    Description,
    Finish,
    GraphDescription,
    Linear,
    Link,
    Step,
    Trees,
)
from gateway.serving.engines.naming import short_name, way

FINISH = Finish(Link.IDENTITY, Choice.NO_CLASS)


CONVERTED = ConvertedGraph("x", 1, None, (("predict", "label"),), "predict", 1e-6)


def arrays(*steps: Step) -> Description:
    return Description("x", 1, None, steps, FINISH, ("predict",), "predict")


def trees(table_from_rows: int, compiled_from_rows: int = 0) -> Trees:
    return Trees(
        depth=1,
        count=1,
        groups=1,
        is_narrow=False,
        allows_missing=True,
        allows_infinite=True,
        table_from_rows=table_from_rows,
        compiled_from_rows=compiled_from_rows,
    )


@pytest.mark.parametrize(
    ("description", "name", "said"),
    [
        (arrays(Linear()), "linear", "exact arithmetic"),
        (arrays(trees(0)), "trees", "walk"),
        (arrays(trees(1)), "trees", "table of bits"),
        (arrays(trees(16)), "trees", "walk; table of bits from 16 rows on"),
        (arrays(trees(0, 1)), "trees", "compiled walk"),
        (arrays(trees(1, 4)), "trees", "table of bits; compiled walk from 4 rows on"),
        (arrays(trees(16, 4)), "trees", "walk; compiled walk from 4 rows on"),
        (GraphDescription("ONNX graph", 3), "graph", "ONNX Runtime"),
        (CONVERTED, "converted", "ONNX Runtime, within 1e-06 of the model and not identical"),
    ],
)
def test_each_way_has_a_name(description: AnyDescription, name: str, said: str) -> None:
    assert (short_name(description), way(description)) == (name, said)
