import base64

import pytest

from gateway.delivery.secret_box import SecretBox
from tracking.errors import GateUnmet


def key(number: int) -> str:
    return base64.urlsafe_b64encode(bytes([number]) * 32).decode()


def box(*keys: str, shared: bytes = b"shared") -> SecretBox:
    return SecretBox(keys, lambda: shared)


def test_a_secret_comes_back_and_does_not_show() -> None:
    closed = box().close("hunter2")

    assert "hunter2" not in closed
    assert box().open(closed) == "hunter2"


def test_a_key_that_is_set_later_still_opens_what_was_closed_before() -> None:
    before = box().close("a")
    then = box(key(1)).close("b")

    later = box(key(2), key(1))

    assert (later.open(before), later.open(then)) == ("a", "b")


def test_what_was_closed_with_a_set_key_needs_that_key() -> None:
    closed = box(key(1)).close("a")

    with pytest.raises(GateUnmet, match="another key"):
        box(key(2)).open(closed)
    with pytest.raises(GateUnmet):
        box().open(closed)
