import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trace_context import Parent, read_parent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01".encode()


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (VALID, True),
        (f" 00-{TRACE}-{SPAN}-00 ".encode(), False),
        (f"00-{TRACE}-{SPAN}-03".encode(), True),
        (f"cc-{TRACE}-{SPAN}-01-what-will-come".encode(), True),
    ],
)
def test_a_parent_is_read(header: bytes, *, is_sampled: bool) -> None:
    assert read_parent(header) == Parent(int(TRACE, 16), int(SPAN, 16), is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        VALID.upper(),
        VALID[:-1],
        VALID + b"0",
        VALID + b"-more",
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        VALID.replace(b"4", b"g", 1),
        VALID.replace(b"-", b"_"),
    ],
)
def test_what_is_no_parent_is_none(header: bytes) -> None:
    assert read_parent(header) is None


@pytest.mark.parametrize(
    ("header", "state"),
    [
        (b"rojo=00f067,congo=t61", (("rojo", "00f067"), ("congo", "t61"))),
        (b" a=1 , ,b@c=2", (("a", "1"), ("b@c", "2"))),
        (b"a=1,a=2", ()),
        (b"A=1", ()),
        (b"a=", ()),
        (b"a=1\xff", ()),
        (b",".join(b"k%d=v" % index for index in range(33)), ()),
    ],
)
def test_the_state_is_read_whole_or_not_at_all(
    header: bytes, state: tuple[tuple[str, str], ...]
) -> None:
    parent = read_parent(VALID, header)

    assert parent is not None
    assert parent.state == state


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_header_at_all_raises(parent: bytes, state: bytes) -> None:
    read_parent(parent, state)
    read_parent(VALID + parent, state)
