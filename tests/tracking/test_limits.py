"""What names, keys and values may be."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import limits
from tracking.errors import InvalidRequest


@pytest.mark.parametrize("key", ["a", "a/b", "größe", "a-b.c d:e_f", "x" * 250, "..a", "層"])
def test_a_plain_key_is_kept(key: str) -> None:
    assert limits.check_key(key) == key


@given(st.text(max_size=300))
def test_a_key_that_is_kept_is_a_plain_relative_path(text: str) -> None:
    try:
        key = limits.check_key(text)
    except InvalidRequest:
        return

    assert key == text
    assert len(key) <= 250
    assert not {"", ".", ".."} & set(key.split("/"))


@pytest.mark.parametrize("run_id", ["a", "0" * 32, "a_b-c", "a" * 256])
def test_a_run_id_is_kept(run_id: str) -> None:
    assert limits.check_run_id(run_id) == run_id


@pytest.mark.parametrize("run_id", [None, "", "-a", "a/b", "a" * 257, "a.b"])
def test_what_is_no_run_id_is_refused(run_id: str | None) -> None:
    with pytest.raises(InvalidRequest, match="run_id"):
        limits.check_run_id(run_id)


@pytest.mark.parametrize("text", ["a\0", "\ud800", "a\udfff"])
def test_a_text_that_no_database_keeps_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="'name'"):
        limits.check_text(text, "name")


@given(st.floats(allow_nan=False))
def test_a_finite_value_is_kept_and_an_infinite_one_clamped(value: float) -> None:
    kept = limits.check_metric_value(value)

    assert math.isfinite(kept)
    assert kept == value or abs(kept) == sys.float_info.max


def test_nan_is_a_value() -> None:
    assert math.isnan(limits.check_metric_value("NaN"))
    assert math.isnan(limits.check_metric_value(float("nan")))


@pytest.mark.parametrize("value", [True, "", "x", 10**400])
def test_what_is_no_value_is_refused(value: float | str) -> None:
    with pytest.raises(InvalidRequest, match="'value'"):
        limits.check_metric_value(value)


@pytest.mark.parametrize("time_ms", [None, -1, 2**63, True])
def test_what_is_no_time_is_refused(time_ms: int | None) -> None:
    with pytest.raises(InvalidRequest, match="'timestamp'"):
        limits.check_time(time_ms, "timestamp")


@pytest.mark.parametrize(("key", "value"), [("", "v"), ("k", "v" * 20_001), ("k", "\0")])
def test_what_is_no_experiment_tag_is_refused(key: str, value: str) -> None:
    with pytest.raises(InvalidRequest):
        limits.check_experiment_tag(key, value)


def test_a_long_value_is_shown_cut() -> None:
    error = limits.invalid("x" * 10_000, "key", "Too long.")

    assert len(error.message) < 300
