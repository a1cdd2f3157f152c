import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.request_ids import RequestIds, new_request_id


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_request_id_is_a_uuid_that_sorts_by_time(now_ms: int, noise: bytes) -> None:
    parsed = uuid.UUID(new_request_id(now_ms, noise))

    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ms


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_different_noise_gives_different_ids(first: bytes, second: bytes) -> None:
    def significant(noise: bytes) -> int:
        return int.from_bytes(noise, "big") & ~(0b11 << 66) & ~0b1111

    same = new_request_id(0, first) == new_request_id(0, second)

    assert same == (significant(first) == significant(second))


def test_ids_are_never_repeated() -> None:
    ids = RequestIds()

    taken = [ids.take() for _ in range(2_000)]

    assert len(set(taken)) == len(taken)
    assert {uuid.UUID(one).version for one in taken} == {7}
