from registry.stages import Stage
from registry.transfer.settling import order_moves, settle_stages

STAGED = {1: "Production", 2: "None", 3: "production", 5: "Staging", 7: "Archived"}


def test_the_highest_number_keeps_production_and_the_others_are_archived() -> None:
    assert settle_stages(STAGED, is_single=True) == {
        1: Stage.ARCHIVED,
        2: Stage.NONE,
        3: Stage.PRODUCTION,
        5: Stage.STAGING,
        7: Stage.ARCHIVED,
    }


def test_several_stay_in_production_where_that_is_allowed() -> None:
    settled = settle_stages(STAGED, is_single=False)

    assert [n for n, stage in settled.items() if stage is Stage.PRODUCTION] == [1, 3]


def test_only_what_differs_moves_and_production_last() -> None:
    here = {1: "Production", 2: "None", 3: "None", 4: "Staging"}
    wanted = {1: Stage.ARCHIVED, 2: Stage.PRODUCTION, 3: Stage.STAGING, 4: Stage.STAGING}

    assert order_moves(here, {**wanted, 9: Stage.PRODUCTION}) == [
        (1, Stage.ARCHIVED),
        (3, Stage.STAGING),
        (2, Stage.PRODUCTION),
    ]
