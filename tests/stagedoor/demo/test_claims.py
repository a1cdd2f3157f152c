import msgspec
import pytest

from stagedoor.demo.claims import Story, all_met, claims_of
from stagedoor.demo.tally import Tally, VersionTally


def make_tally(**changes: object) -> Tally:
    versions = [VersionTally(1, 800, 0.8, 0.75), VersionTally(2, 200, 0.2, 0.99)]
    calm = Tally(1000, 0, 0, 0, 500.0, 5.0, 20.0, versions)
    return msgspec.structs.replace(calm, **changes)


GOOD = Story(whole=make_tally(), canary=make_tally(), candidate=2, late=0)


def test_a_good_run_meets_every_claim() -> None:
    assert all_met(claims_of(GOOD))


@pytest.mark.parametrize(
    "fault",
    [
        {"whole": make_tally(failed=1)},
        {"whole": make_tally(untrue=1)},
        {"whole": make_tally(count=0)},
        {"canary": make_tally(wavering=1)},
        {"canary": make_tally(versions=[VersionTally(1, 1000, 1.0, 0.75)])},
        {"late": 1},
    ],
)
def test_each_fault_breaks_a_claim(fault: dict[str, object]) -> None:
    story = msgspec.structs.replace(GOOD, **fault)

    assert not all_met(claims_of(story))
