"""What is written down of a model that raises: where, and nothing of what it was asked."""

import pytest

from gateway.serving.traces import MAX_CHARACTERS, clip, trace_of

SECRET = "4711.25"


class Odd(ValueError):
    """An error of a model's own."""


def raise_it(depth: int = 0) -> None:
    if depth:
        raise_it(depth - 1)
    told = SECRET.join(["<", ">"])
    raise Odd(told)


def raise_two() -> None:
    try:
        raise_it()
    except Odd as error:
        raise KeyError(str(error)) from error


def test_a_trace_says_where_and_of_which_class_and_quotes_nothing() -> None:
    with pytest.raises(KeyError) as raised:
        raise_two()

    trace = trace_of(raised.value)

    first, second = trace.split("\n\nThat led to:\n")
    assert first.endswith(f"{__name__}.Odd")
    assert second.endswith("KeyError")
    assert 'test_traces.py", line' in first
    assert "in raise_it" in first
    assert "in raise_two" in second
    assert SECRET not in trace


def test_a_trace_of_a_deep_call_keeps_where_it_was_raised() -> None:
    with pytest.raises(Odd) as raised:
        raise_it(200)

    trace = trace_of(raised.value)

    assert trace.endswith(f"{__name__}.Odd")
    assert "raise Odd(told)" in trace
    assert len(trace) <= MAX_CHARACTERS


def test_errors_that_led_to_one_another_have_an_end() -> None:
    one, two = Odd("a"), Odd("b")
    one.__cause__, two.__cause__ = two, one

    assert trace_of(one).count("That led to") == 2


def test_a_trace_in_the_log_is_short_and_moves_no_cursor() -> None:
    told = clip("x" * 10 * MAX_CHARACTERS + "\x1b[2J\r\nend \ud800\n")

    assert told.endswith("x [2J \nend")
    assert len(told) <= MAX_CHARACTERS
