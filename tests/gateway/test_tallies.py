import asyncio

from gateway.metrics import RequestLabels, inflight, observe_assignment, observe_request, scrape
from gateway.tallies import Tally, level_of


def test_counts_of_one_turn_are_those_of_each_request_by_itself() -> None:
    """The page is the same, whichever way a request was counted; a turn later it is there."""
    times = (0.0004, 0.001, 0.004, 0.0101, 3.0, 99.0)
    one_by_one = RequestLabels("tally-oak", "1", "stable", "mlflow")
    together = RequestLabels("tally-elm", "1", "stable", "mlflow")

    async def count() -> None:
        tally = Tally(together, "random")
        with level_of("tally-elm"):
            for seconds in times:
                tally.add(seconds)
            await asyncio.sleep(0)
            assert 'stagedoor_inflight_requests{model="tally-elm"} 1.0' in scrape().decode()
        await asyncio.sleep(0)

    asyncio.run(count())
    for seconds in times:
        observe_request(one_by_one, "200", seconds)
        observe_assignment("tally-oak", "stable", "random")
    with inflight("tally-oak").track_inprogress():
        pass

    lines = scrape().decode().splitlines()
    counted = [line.replace("tally-elm", "tally-oak") for line in lines if '"tally-elm"' in line]
    assert [line for line in counted if "_created" not in line] == [
        line for line in lines if '"tally-oak"' in line and "_created" not in line
    ]
