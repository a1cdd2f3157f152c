import asyncio

from msgspec import Struct

from gateway.metrics import scrape
from gateway.serving.metering import CallMeter
from registry.route import VersionKey


class Owner(Struct, weakref=True):
    key: VersionKey


def test_every_call_is_counted_once_with_its_rows() -> None:
    owner = Owner(VersionKey("ash", 2, "d"))
    meter = CallMeter(owner)

    async def count() -> None:
        for rows in (1, 1, 3, 100, 9000):
            meter.add(rows)
        meter.flush()
        meter.add(2)
        meter.flush()
        meter.flush()

    asyncio.run(count())

    labels = '{model="ash",version="2"}'
    page = scrape().decode()
    assert f"stagedoor_predictions_total{labels} 9107.0" in page
    assert f"stagedoor_batch_size_count{labels} 6.0" in page
    assert f"stagedoor_batch_size_sum{labels} 9107.0" in page
    for bound, count_of in (("1.0", 2), ("2.0", 3), ("4.0", 4), ("128.0", 5), ("+Inf", 6)):
        series = f'stagedoor_batch_size_bucket{{le="{bound}",model="ash",version="2"}}'
        assert f"{series} {count_of}.0" in page


def test_what_is_counted_goes_to_the_metrics_by_itself() -> None:
    owner = Owner(VersionKey("fig", 1, "d"))
    meter = CallMeter(owner)

    async def count() -> bool:
        meter.add(5)
        async with asyncio.timeout(20):
            counted = 'stagedoor_predictions_total{model="fig",version="1"} 5.0'
            while counted not in page():  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.01)
        return True

    assert asyncio.run(count())


def page() -> str:
    return scrape().decode()


def test_a_model_that_was_renamed_is_counted_under_its_new_name() -> None:
    owner = Owner(VersionKey("old", 1, "d"))
    meter = CallMeter(owner)

    async def count() -> None:
        meter.add(1)
        owner.key = VersionKey("new", 1, "d")
        meter.flush()

    asyncio.run(count())

    assert 'stagedoor_predictions_total{model="new",version="1"} 1.0' in page()
