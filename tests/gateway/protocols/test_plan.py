"""What a signature means for decoding."""

import numpy as np
import pytest

from gateway.protocols.plan import FREE, plan_for
from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import InputMismatch


def test_columns_of_one_number_type_make_a_matrix() -> None:
    plan = plan_for(Signature((ColumnSpec("long", "a"), ColumnSpec("long", "b"))))

    assert (plan.names, plan.matrix, plan.width, plan.json_type) == (
        ("a", "b"),
        np.dtype(np.int64),
        2,
        int,
    )


@pytest.mark.parametrize("other", ["string", "boolean", "float"])
def test_columns_of_several_types_make_none(other: str) -> None:
    plan = plan_for(Signature((ColumnSpec("double", "a"), ColumnSpec(other, "b"))))

    assert (plan.matrix, plan.json_type) == (None, None)


def test_columns_without_names_go_by_position() -> None:
    plan = plan_for(Signature((ColumnSpec("double"), ColumnSpec("double"))))

    assert (plan.names, [column.name for column in plan.columns]) == ((), ["0", "1"])


@pytest.mark.parametrize(
    ("shape", "width"), [((-1, 4), 4), ((-1,), 0), ((-1, 8, 8), 0), ((-1, -1), 0), ((3, 4), 0)]
)
def test_one_tensor_of_known_width_makes_a_matrix(shape: tuple[int, ...], width: int) -> None:
    plan = plan_for(Signature((TensorSpec("float32", shape),)))

    assert plan.width == width
    assert (plan.matrix is not None) == (width > 0)


def test_no_inputs_are_as_no_signature() -> None:
    assert plan_for(Signature()) == plan_for(None) == FREE


def test_a_signature_is_worked_out_once() -> None:
    signature = Signature((ColumnSpec("double", "a"),))

    assert plan_for(signature) is plan_for(signature)


def test_many_signatures_do_not_pile_up_or_get_mixed_up() -> None:
    signatures = [Signature((ColumnSpec("double", f"c{n}"),)) for n in range(3000)]

    names = [plan_for(signature).names for signature in signatures]

    assert names == [(f"c{n}",) for n in range(3000)]


@pytest.mark.parametrize("dtype", ["complex128", "no such type", "V8"])
def test_a_type_that_no_request_carries_is_refused(dtype: str) -> None:
    with pytest.raises(InputMismatch, match="no request can carry"):
        plan_for(Signature((TensorSpec(dtype, (-1, 2)),)))
