"""Which version answers, for every way to ask, in every state of a route."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.table import Assignment, ModelRoute, Reason, RouteTable, assign
from registry.references import ByAlias, ByNumber, ByStage, Latest, Live, Ref
from registry.route import Route, Split, VersionKey, VersionRecord
from registry.stages import Stage
from tracking.errors import InvalidRequest, ResourceMissing

STAGES = {1: Stage.ARCHIVED, 2: Stage.ARCHIVED, 3: Stage.PRODUCTION, 4: Stage.STAGING, 5: "None"}
EPOCH = 9


def version_key(version: int) -> VersionKey:
    return VersionKey("iris", version, f"digest-{version}")


def table_of(route: Route, stages: dict[int, str] | None = None) -> RouteTable:
    held = STAGES if stages is None else stages
    records = {
        number: VersionRecord(version_key(number), storage=f"1/{number}", stage=stage)
        for number, stage in held.items()
    }
    return RouteTable().with_model(ModelRoute("iris", EPOCH, route, records))


def split_of(weight_bp: int, split_id: str = "s1") -> Split:
    return Split(split_id, candidate="Staging", weight_bp=weight_bp)


def route_of(weight_bp: int | None = None, *, staging: int | None = 4) -> Route:
    split = None if weight_bp is None else split_of(weight_bp)
    return Route(production=3, staging=staging, aliases={"champion": 2}, split=split)


def ask(
    table: RouteTable,
    ref: Ref | None = None,
    *,
    key: bytes | None = b"user-1",
    nonce: bytes = b"nonce",
    is_ready: Callable[[VersionKey], bool] = lambda _: True,
) -> Assignment:
    return assign(table, "iris", ref or Live(), key=key, nonce=nonce, is_ready=is_ready)


def test_live_without_a_split_is_production() -> None:
    assigned = ask(table_of(route_of()))

    assert assigned == Assignment(
        "iris", version_key(3), "Production", "stable", Reason.HASH, EPOCH
    )


def test_live_under_a_full_split_is_the_candidate() -> None:
    assigned = ask(table_of(route_of(10_000)))

    assert assigned == Assignment(
        "iris", version_key(4), "Staging", "candidate", Reason.HASH, EPOCH
    )


@pytest.mark.parametrize(
    ("ref", "version", "stage"),
    [
        (ByNumber(1), 1, "Archived"),
        (ByNumber(3), 3, "Production"),
        (ByStage(Stage.PRODUCTION), 3, "Production"),
        (ByStage(Stage.STAGING), 4, "Staging"),
        (ByStage(Stage.ARCHIVED), 2, "Archived"),
        (ByStage(Stage.NONE), 5, "None"),
        (ByAlias("champion"), 2, "Archived"),
        (Latest(), 5, "None"),
    ],
)
def test_a_named_version_is_pinned_whatever_the_split(ref: Ref, version: int, stage: str) -> None:
    assigned = ask(table_of(route_of(10_000)), ref)

    assert assigned == Assignment("iris", version_key(version), stage, "", Reason.PINNED, EPOCH)


def test_a_stage_is_that_of_the_committed_route_and_not_the_registrys() -> None:
    route = Route(production=1, staging=None)

    assigned = ask(table_of(route, {1: Stage.STAGING, 2: Stage.PRODUCTION}))

    assert (assigned.key.version, assigned.stage) == (1, "Production")


@pytest.mark.parametrize("key", [None, b""])
def test_without_a_key_the_nonce_decides_and_says_random(key: bytes | None) -> None:
    table = table_of(route_of(5000))

    assigned = {ask(table, key=key, nonce=b"%d" % number) for number in range(50)}

    assert {(found.variant, found.reason) for found in assigned} == {
        ("stable", Reason.RANDOM),
        ("candidate", Reason.RANDOM),
    }


def test_a_key_decides_and_the_nonce_does_not() -> None:
    table = table_of(route_of(5000))

    assigned = {ask(table, key=b"user-1", nonce=b"%d" % number) for number in range(50)}

    assert len(assigned) == 1


@pytest.mark.parametrize(
    ("staging", "is_ready"),
    [(None, True), (99, True), (4, False)],
    ids=["empty", "deleted", "not ready"],
)
def test_an_absent_candidate_falls_back_to_stable(staging: int | None, *, is_ready: bool) -> None:
    table = table_of(route_of(10_000, staging=staging))

    assigned = ask(table, is_ready=lambda _: is_ready)

    assert (assigned.key.version, assigned.variant) == (3, "stable")
    assert assigned.reason is Reason.FALLBACK_ABSENT


def test_a_candidate_of_another_stage_falls_back_to_stable() -> None:
    split = Split("s1", candidate="Archived", weight_bp=10_000)

    assigned = ask(table_of(Route(production=3, split=split)))

    assert (assigned.key.version, assigned.reason) == (3, Reason.FALLBACK_ABSENT)


def test_who_would_be_stable_anyway_is_no_fallback() -> None:
    assigned = ask(table_of(route_of(0)), is_ready=lambda _: False)

    assert (assigned.variant, assigned.reason) == ("stable", Reason.HASH)


@settings(deadline=None)  # cores are shared
@given(key=st.binary(min_size=1, max_size=512), weights=st.tuples(*[st.integers(0, 10_000)] * 2))
def test_growing_a_split_keeps_everyone_who_was_in(key: bytes, weights: tuple[int, int]) -> None:
    smaller, larger = (ask(table_of(route_of(bp)), key=key).variant for bp in sorted(weights))

    assert larger == "candidate" or smaller == "stable"


@pytest.mark.parametrize("weight_bp", [500, 2000, 5000])
def test_of_100_000_keys_the_share_is_within_half_a_point(weight_bp: int) -> None:
    table = table_of(route_of(weight_bp))
    count = 100_000

    taken = sum(
        ask(table, key=b"user-%d" % number).variant == "candidate" for number in range(count)
    )

    assert abs(taken / count - weight_bp / 10_000) < 0.005


def test_everyone_in_at_5_percent_is_in_at_25_and_another_split_draws_others() -> None:
    keys = [b"user-%d" % number for number in range(20_000)]

    def taken(split: Split) -> set[bytes]:
        table = table_of(Route(production=3, staging=4, split=split))
        return {key for key in keys if ask(table, key=key).variant == "candidate"}

    small, large, other = taken(split_of(500)), taken(split_of(2500)), taken(split_of(2500, "s2"))

    assert small < large
    assert 0.2 < len(large & other) / len(large) < 0.3


def test_an_unknown_model_is_missing_by_name() -> None:
    with pytest.raises(ResourceMissing, match="No registered model 'rose' is served here"):
        assign(RouteTable(), "rose", Live(), key=None, nonce=b"n", is_ready=lambda _: True)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        (Live(), "has no version in Production; there is 4 (Staging), 1 (Archived), @old"),
        (ByStage(Stage.PRODUCTION), "has no version in Production; there is 4"),
        (ByStage(Stage.NONE), "has no version in None; there is 4"),
        (ByNumber(7), "has no version 7; there is 4"),
        (ByNumber(0), "has no version 0; there is 4"),
        (ByAlias("champion"), "has no alias '@champion'; there is 4"),
    ],
)
def test_an_empty_slot_is_named_and_what_there_is_too(ref: Ref, sentence: str) -> None:
    table = table_of(Route(staging=4, aliases={"old": 1}), {1: Stage.ARCHIVED, 4: Stage.STAGING})

    with pytest.raises(ResourceMissing) as refusal:
        ask(table, ref)

    assert sentence in refusal.value.message


@pytest.mark.parametrize("ref", [Latest(), Live()])
def test_a_model_without_versions_says_so(ref: Ref) -> None:
    with pytest.raises(ResourceMissing, match="no version is registered"):
        ask(table_of(Route(), {}), ref)


def test_only_a_few_of_many_versions_are_listed() -> None:
    table = table_of(Route(), dict.fromkeys(range(1, 31), "None"))

    with pytest.raises(ResourceMissing, match=r"30 \(None\), .* 26 \(None\) and 25 older ones"):
        ask(table, Live())


def test_a_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="sticky key"):
        ask(table_of(route_of(5000)), key=b"k" * 513)


def test_changing_a_table_leaves_the_earlier_one_as_it_was() -> None:
    before = table_of(route_of())

    after = before.with_model(ModelRoute("rose", 1, Route(), {}))

    assert set(before.models) == {"iris"}
    assert set(after.models) == {"iris", "rose"}
    assert set(after.without_model("iris").models) == {"rose"}
    assert after.without_model("tulip") == after


def test_a_version_on_its_way_to_production_is_named() -> None:
    record = VersionRecord(VersionKey("iris", 1, "d"), "x", "Production")
    table = RouteTable().with_model(ModelRoute("iris", 0, Route(), {1: record}))

    with pytest.raises(ResourceMissing, match="version 1 is not loaded on every worker"):
        assign(table, "iris", Live(), key=None, nonce=b"n", is_ready=lambda _key: False)
