import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.serving.frames import MAX_HEADER_BYTES, Assembler, Frame, FrameError, pack


def join(frames: list[tuple[bytes, bytes]]) -> bytes:
    pieces = [pack(header, [memoryview(body)], max_frame_bytes=100) for header, body in frames]
    return b"".join(bytes(piece) for frame in pieces for piece in frame)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=50)), max_size=5),
    st.integers(1, 40),
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[tuple[bytes, bytes]], step: int
) -> None:
    stream = join(frames)
    assembler = Assembler(100)

    received = [
        frame
        for start in range(0, len(stream), step)
        for frame in assembler.feed(stream[start : start + step])
    ]

    assert received == [Frame(header, bytearray(body)) for header, body in frames]


@pytest.mark.parametrize("prefix", [(MAX_HEADER_BYTES + 1, 0), (1, 101), (2**32 - 1, 2**64 - 1)])
def test_a_length_over_its_limit_is_refused_before_its_bytes_come(prefix: tuple[int, int]) -> None:
    header, body = prefix

    with pytest.raises(FrameError):
        Assembler(100).feed(header.to_bytes(4, "little") + body.to_bytes(8, "little"))


def test_a_frame_that_the_other_end_would_refuse_is_not_sent() -> None:
    with pytest.raises(FrameError):
        pack(b"", [memoryview(bytes(101))], max_frame_bytes=100)
