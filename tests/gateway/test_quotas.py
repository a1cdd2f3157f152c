"""Each client may make so many requests: a bucket of tokens each, of which few are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quota_settings import QuotaSettings, rates_of
from gateway.quotas import MAX_BUCKETS, Quotas
from tracking.errors import QuotaExceeded


def asked(quotas: Quotas, client: str, model: str = "oak", *, now_s: float = 0.0) -> bool:
    try:
        quotas.charge(client, model, now_s)
    except QuotaExceeded:
        return False
    return True


def test_without_a_limit_nothing_is_kept() -> None:
    quotas = Quotas(QuotaSettings())

    assert not quotas.is_on
    assert all(asked(quotas, "a") for _ in range(1000))
    assert len(quotas) == 0


def test_a_client_may_make_a_burst_and_then_as_many_as_its_rate() -> None:
    quotas = Quotas(QuotaSettings(requests_per_s=2.0, burst=3))

    at_once = [asked(quotas, "a") for _ in range(5)]
    later = [asked(quotas, "a", now_s=now_s) for now_s in (0.4, 0.6, 0.7, 1.1)]

    assert at_once == [True, True, True, False, False]
    assert later == [False, True, False, True]
    assert asked(quotas, "b")


def test_who_is_refused_is_told_how_long_to_wait() -> None:
    quotas = Quotas(QuotaSettings(requests_per_s=0.5, burst=1))
    quotas.charge("a", "oak", 10.0)

    with pytest.raises(QuotaExceeded, match=r"'oak' as often as you may: wait 1\.5 s") as refused:
        quotas.charge("a", "oak", 10.5)

    assert refused.value.retry_after_s == 1.5


def test_a_model_may_have_a_rate_of_its_own() -> None:
    quotas = Quotas(QuotaSettings(requests_per_s=1.0, burst=1, models=("elm=100", "ash=0")))

    assert [asked(quotas, "a", model) for model in ("oak", "fir", "elm", "elm")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert asked(quotas, "a", "elm", now_s=0.02)
    assert all(asked(quotas, "a", "ash") for _ in range(10))


@given(
    st.floats(0.1, 1000.0),
    st.integers(1, 50),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300),
)
def test_never_more_than_a_burst_and_the_rate(rate: float, burst: int, gaps: list[float]) -> None:
    quotas, now_s, let_in = Quotas(QuotaSettings(requests_per_s=rate, burst=burst)), 0.0, 0

    for gap_s in gaps:
        now_s += gap_s / rate
        let_in += asked(quotas, "a", now_s=now_s)

    assert min(burst, len(gaps)) <= let_in <= burst + now_s * rate + 1e-6


def test_a_request_that_is_counted_again_is_given_back() -> None:
    quotas = Quotas(QuotaSettings(requests_per_s=1.0, burst=1))
    quotas.charge("a", "oak", 0.0)

    quotas.give_back("a", "oak")
    quotas.give_back("b", "oak")

    assert [asked(quotas, "a"), asked(quotas, "a")] == [True, False]


def test_no_more_than_so_many_clients_are_kept() -> None:
    quotas = Quotas(QuotaSettings(requests_per_s=1.0, burst=1))

    for number in range(MAX_BUCKETS + 10):
        quotas.charge(str(number), "oak", 0.0)

    assert len(quotas) == MAX_BUCKETS
    assert [asked(quotas, "0"), asked(quotas, str(MAX_BUCKETS))] == [True, False]


@pytest.mark.parametrize("told", ["oak", "=5", "oak=", "oak=many", "oak=-1"])
def test_a_rate_that_is_none_is_refused(told: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - float's own words, or ours
        rates_of((told,))


def test_a_name_may_hold_the_sign() -> None:
    assert rates_of(("a=b=2.5",)) == {"a=b": 2.5}
