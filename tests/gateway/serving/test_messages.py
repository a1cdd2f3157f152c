from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gateway.serving import messages
from gateway.serving.frames import Assembler, Frame, FrameError
from gateway.serving.messages import ArrayHead
from registry.signature import ColumnSpec, Signature, TensorSpec

LIMIT = 1 << 20


def there_and_back(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    heads, chunks = messages.write_arrays(arrays)
    return messages.read_arrays(heads, bytearray(b"".join(chunks)))


def frame(message: Any) -> Frame:
    return Frame(msgspec.msgpack.encode(message), bytearray())


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["?", "i1", "<i8", ">i4", "<u2", "f4", "<f8", ">f8", "M8[ns]", "M8[D]"]),
        hnp.array_shapes(max_dims=3),
    )
)
def test_arrays_of_numbers_and_times_arrive_as_they_were(array: NDArray[Any]) -> None:
    (arrived,) = there_and_back(array, array[:0])[:1]

    np.testing.assert_array_equal(arrived, array)
    assert arrived.dtype == array.dtype.newbyteorder("<")
    assert arrived.flags.writeable


@settings(deadline=None)
@given(
    st.lists(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False)
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.binary(),
        min_size=1,
    )
)
def test_plain_cells_arrive_as_they_were(cells: list[Any]) -> None:
    array = np.empty(len(cells), dtype=object)
    array[:] = cells

    (arrived,) = there_and_back(array)

    assert arrived.tolist() == cells


def test_cells_of_lists_and_objects_arrive_as_they_were() -> None:
    cells = [{"a": [1, None, "x"], "b": {}}, [1.5, b"\x00"], [2, True]]
    array = np.fromiter(cells, dtype=object, count=3)

    (arrived,) = there_and_back(array)

    assert arrived.tolist() == cells


def test_fixed_width_text_arrives_as_text_cells() -> None:
    (arrived,) = there_and_back(np.array([["a", "bcd"], ["ü", ""]]))

    assert arrived.tolist() == [["a", "bcd"], ["ü", ""]]
    assert arrived.dtype == object


@pytest.mark.parametrize(
    "array",
    [
        np.array([1j]),
        np.array([{"a": [print]}], dtype=object),
        np.array([print], dtype=object),
        np.array([2**80], dtype=object),
        np.array(["\ud800"], dtype=object),
        np.zeros(2, dtype=[("a", "i4")]),
    ],
)
def test_what_is_no_plain_data_is_not_sent(array: NDArray[Any]) -> None:
    with pytest.raises(FrameError):
        messages.write_arrays([array])


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (ArrayHead("<f8", (2,), 8), bytes(8)),
        (ArrayHead("<f8", (1,), 9), bytes(9)),
        (ArrayHead("<f8", (1,), 8), bytes(16)),
        (ArrayHead("<f8", (), 8), bytes(8)),
        (ArrayHead("<f8", (1,) * 9, 8), bytes(8)),
        (ArrayHead("<f8", (-1, -1), 8), bytes(8)),
        (ArrayHead("<f8", (10**18, 0), 0), b""),
        (ArrayHead("<f8", (0, 0, 10**18), 0), b""),
        (ArrayHead("|O", (10**12,), 1), b"\x90"),
        (ArrayHead("|O", (1,), 6), b"\xdd\xff\xff\xff\xff\xc0"),
        (ArrayHead("|O", (1,), 5), b"\x91\x91\xd4\x05\x00"),
        (ArrayHead("|O", (1,), 100_000), b"\x91" * 100_000),
        (ArrayHead("|O", (1,), 1), b"\xc0"),
        (ArrayHead("O", (1,), 8), bytes(8)),
        (ArrayHead("V8", (1,), 8), bytes(8)),
        (ArrayHead("<U2", (1,), 8), b"\xff" * 8),
        (ArrayHead("<c16", (1,), 16), bytes(16)),
        (ArrayHead("{'names': ['a'], 'formats': ['O']}", (1,), 8), bytes(8)),
        (ArrayHead("<f8", (1,), -8), b""),
    ],
)
def test_a_head_that_lies_is_refused(head: ArrayHead, body: bytes) -> None:
    with pytest.raises(FrameError):
        messages.read_arrays([head], bytearray(body))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc0",
        b"\x91" * 100_000,
        msgspec.msgpack.encode({"type": "predict"}),
        msgspec.msgpack.encode({"type": "answer", "call": "1"}),
        msgspec.msgpack.encode({"type": "unheard of"}),
    ],
)
def test_a_header_that_is_no_message_is_refused(header: bytes) -> None:
    with pytest.raises(FrameError):
        messages.decode_from_runner(Frame(header, bytearray()))
    with pytest.raises(FrameError):
        messages.decode_to_runner(Frame(header, bytearray()))


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=50))
def test_no_bytes_do_worse_than_a_frame_error(header: bytes, body: bytes) -> None:
    try:
        message = messages.decode_from_runner(Frame(header, bytearray(body)))
    except FrameError:
        return

    assert isinstance(message, messages.FromRunner)


@pytest.mark.parametrize(
    "signature",
    [
        Signature(inputs=(ColumnSpec("decimal", "x"),)),
        Signature(outputs=(TensorSpec("__import__('os')", (-1,)),)),
    ],
)
def test_a_signature_with_types_that_there_are_not_is_refused(signature: Signature) -> None:
    with pytest.raises(FrameError):
        messages.decode_from_runner(frame(messages.Ready(signature, "sklearn", 0)))


@pytest.mark.parametrize("methods", [("predict", "__class__"), ("predict\n",)])
def test_a_method_that_no_call_may_name_is_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(FrameError):
        messages.decode_from_runner(frame(messages.Ready(None, "sklearn", 0, methods=methods)))


def test_a_call_arrives_as_it_was() -> None:
    heads, chunks = messages.write_arrays([np.array([1.5]), np.array(["x"], dtype=object)])
    call = messages.Predict(7, ("a", "b"), heads, is_matrix=False, params={"k": [1, None, "v"]})

    pieces = messages.encode(call, chunks, max_frame_bytes=LIMIT)
    (received,) = Assembler(LIMIT).feed(b"".join(pieces))

    assert messages.decode_to_runner(received) == call
    assert [a.tolist() for a in messages.read_arrays(heads, received.body)] == [[1.5], ["x"]]


def test_a_reason_becomes_one_short_printable_line() -> None:
    assert messages.tidy("a\x1b[31m\n\nb \u202e c") == "a [31m b c"
    assert len(messages.tidy("x" * 10_000)) == 400
