"""Which route comes next, and what must be proved for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.planning import (
    Move,
    after_moves,
    change_split,
    desired_route,
    must_prove,
    next_route,
    plan_moves,
    split_after,
)
from registry.route import Route, Split
from registry.stages import Stage
from tracking.errors import InvalidRequest

STAGES = st.dictionaries(st.integers(1, 6), st.sampled_from(list(map(str, Stage))), max_size=6)
SPLIT = Split(split_id="s", candidate="Staging", weight_bp=2000)


def test_the_highest_number_of_a_stage_is_desired() -> None:
    stages = {1: "Production", 3: "Production", 2: "Staging"}

    route = desired_route(stages, {"champion": 1}, SPLIT)

    assert route == Route(production=3, staging=2, aliases={"champion": 1}, split=SPLIT)


def test_a_refused_version_leaves_the_last_good_one_in_its_place() -> None:
    committed = Route(production=1, staging=2, aliases={"a": 1})
    desired = Route(production=3, staging=3, aliases={"a": 3, "b": 3})

    following = next_route(committed, desired, refused={3}, existing={1, 2, 3})

    assert following == committed


def test_a_deleted_version_is_kept_nowhere() -> None:
    committed = Route(production=1, staging=2, aliases={"a": 1})

    following = next_route(committed, committed, refused=set(), existing={2})

    assert following == Route(staging=2)


@pytest.mark.parametrize(
    ("committed", "following", "proved"),
    [
        (Route(), Route(production=1), {1}),
        (Route(production=1, staging=2), Route(production=2), {2}),
        (Route(production=1), Route(), set()),
        (Route(production=1, staging=2), Route(production=1, staging=2, split=SPLIT), set()),
        (Route(production=1), Route(production=1, aliases={"a": 4}), {4}),
    ],
)
def test_what_is_new_or_enters_production_must_be_proved(
    committed: Route, following: Route, proved: set[int]
) -> None:
    assert must_prove(committed, following) == proved


def test_a_promotion_archives_what_was_there_first() -> None:
    stages = {1: "Production", 2: "Staging", 3: "Archived"}

    moves = plan_moves(stages, 2, Stage.PRODUCTION, archive=True)

    assert moves == [Move(1, "Production", "Archived"), Move(2, "Staging", "Production")]
    assert after_moves(stages, moves) == {1: "Archived", 2: "Production", 3: "Archived"}


@given(stages=STAGES, data=st.data())
def test_with_archiving_one_version_is_in_production_after_a_promotion(
    stages: dict[int, str], data: st.DataObject
) -> None:
    stages = stages or {1: "None"}
    version = data.draw(st.sampled_from(sorted(stages)))

    after = after_moves(stages, plan_moves(stages, version, Stage.PRODUCTION, archive=True))

    assert [v for v, stage in after.items() if stage == Stage.PRODUCTION] == [version]


def test_promoting_the_candidate_ends_its_split() -> None:
    assert split_after(SPLIT, [Move(2, "Staging", "Production")]) is None
    assert split_after(SPLIT, [Move(2, "None", "Production")]) == SPLIT


def test_a_split_keeps_its_id_while_only_its_weight_changes() -> None:
    grown = change_split(SPLIT, "Staging", 5000, new_id="other")

    assert grown == Split(split_id="s", candidate="Staging", weight_bp=5000)
    assert change_split(None, "Staging", 1, new_id="n") == Split("n", "Staging", 1)


@pytest.mark.parametrize(
    ("candidate", "weight_bp"), [("Staging", -1), ("Staging", 10_001), ("Archived", 5)]
)
def test_a_split_outside_its_bounds_is_refused(candidate: str, weight_bp: int) -> None:
    with pytest.raises(InvalidRequest):
        change_split(None, candidate, weight_bp, new_id="n")
