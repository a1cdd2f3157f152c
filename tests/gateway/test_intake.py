"""What a worker holds is capped, and one model never takes the room of all."""

import asyncio
from typing import Any

import pytest

from gateway.intake import Intake
from gateway.serving.admission import Shed
from gateway.serving.failure import Overloaded


def test_a_request_is_held_until_the_end_of_its_block() -> None:
    intake = Intake(max_requests=10, max_bytes=100)

    with intake.hold("iris", 30), intake.hold("iris", 10):
        held = (intake.requests, intake.bytes)

    assert held == (2, 40)
    assert (intake.requests, intake.bytes) == (0, 0)


@pytest.mark.parametrize(("limits", "shed"), [((2, 1000), Shed.REQUESTS), ((1000, 40), Shed.BYTES)])
def test_one_model_gets_half_and_another_finds_room(limits: tuple[int, int], shed: Shed) -> None:
    intake = Intake(*limits)

    with intake.hold("noisy", 20):
        with pytest.raises(Overloaded) as refused, intake.hold("noisy", 20):
            raise AssertionError
        with intake.hold("quiet", 20):
            held = intake.bytes

    assert refused.value.shed is shed
    assert held == 40
    assert (intake.requests, intake.bytes) == (0, 0)


def test_a_body_of_unknown_length_is_counted_as_it_comes() -> None:
    intake = Intake(max_requests=10, max_bytes=100)
    pieces = [b"x" * 40, b"x" * 40]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(), "more_body": True}

    async def story() -> int:
        with intake.hold("iris", -1) as hold:
            counted = hold.counted(receive)
            await counted()
            held = intake.bytes
            with pytest.raises(Overloaded):
                await counted()
            return held

    assert asyncio.run(story()) == 40
    assert intake.bytes == 0


def test_a_body_of_known_length_is_counted_once() -> None:
    async def receive() -> dict[str, Any]:
        return {}

    with Intake(10, 100).hold("iris", 5) as hold:
        assert hold.counted(receive) is receive
