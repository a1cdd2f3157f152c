"""How long a request may take, by its head and by its body."""

import math

import pytest

from gateway.deadlines import deadline_of, sooner
from gateway.protocols.v2_request import request_of
from registry.tensors import InferRequest
from tests.gateway.serving.specimens import matrix
from tracking.errors import InvalidRequest

ROWS = matrix((1.0,))


@pytest.mark.parametrize(
    ("header", "left_s"),
    [(b"", 60.0), (b"1", 0.001), (b"1500", 1.5), (b"60001", 60.0), (b"999999999999", 60.0)],
)
def test_a_caller_gets_what_it_asks_for_within_what_the_server_gives(
    header: bytes, left_s: float
) -> None:
    assert deadline_of(header, 100.0, max_s=60.0) == pytest.approx(100.0 + left_s)


@pytest.mark.parametrize(
    "header", [b"0", b"000", b"-1", b"1.5", b"1e3", b" 1", b"soon", b"1000000000000", b"\xb2"]
)
def test_a_time_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidRequest, match="Stagedoor-Timeout-Ms"):
        deadline_of(header, 0.0, max_s=60.0)


def test_the_sooner_of_head_and_body_counts() -> None:
    assert sooner(5.0, None, 1.0) == 5.0
    assert sooner(5.0, 500_000, 1.0) == 1.5
    assert sooner(1.2, 500_000, 1.0) == 1.2
    assert sooner(math.inf, 1, 1.0) == pytest.approx(1.000001)


def asked(timeout: object) -> InferRequest:
    return request_of(ROWS, None, {"timeout": timeout, "depth": 3}, None)  # type: ignore[dict-item]


def test_a_body_may_ask_for_its_own_time_in_microseconds() -> None:
    assert asked(1_500).timeout_us == 1500
    assert asked(0).timeout_us is None
    assert asked(None).timeout_us is None
    assert asked(1_500).params == {"depth": 3}


@pytest.mark.parametrize("timeout", [-1, 1.5, "1500", True])
def test_a_time_in_the_body_that_is_none_is_refused(timeout: object) -> None:
    with pytest.raises(InvalidRequest, match="microseconds"):
        asked(timeout)
