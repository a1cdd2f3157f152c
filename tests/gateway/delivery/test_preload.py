import pytest

from gateway.delivery.known_routes import KnownRoutes
from gateway.delivery.preload import Preload, Wants, parse_preload, wants_of
from gateway.serving.inventory import Aspired
from registry.route import ModelState, OpenSwitch, Route, Split, VersionKey, VersionRecord

ALL, NONE, NAMED = Preload(), Preload(is_all=False), Preload(frozenset({"A"}), is_all=False)
SPLIT = Split("s", "Staging", 500)


def key(number: int, model: str = "A") -> VersionKey:
    return VersionKey(model, number, f"digest-{number}")


def records(*numbers: int, model: str = "A") -> dict[int, VersionRecord]:
    return {n: VersionRecord(key(n, model), "store", "None") for n in numbers}


def state(route: Route, coming: Route | None = None, model: str = "A") -> ModelState:
    switch = None if coming is None else OpenSwitch(1, 8, coming, frozenset(), 0)
    return ModelState(model, 7, route, records(1, 2, 3, 4, model=model), switch)


def wants(
    loaded: tuple[int, ...], pinned: tuple[int, ...], asked: tuple[int, ...], *, is_required: bool
) -> Wants:
    pins = frozenset(map(key, pinned))
    return Wants(
        records={key(n): records(n)[n] for n in loaded},
        pinned=pins,
        on_demand=frozenset(map(key, asked)),
        required=pins if is_required else frozenset(),
    )


FULL = Route(production=1, staging=2, aliases={"x": 3})
DIVIDED = Route(production=1, staging=2, aliases={"x": 3}, split=SPLIT)


@pytest.mark.parametrize(
    ("route", "preload", "expected"),
    [
        (Route(), ALL, wants((), (), (), is_required=True)),
        (FULL, ALL, wants((1, 2, 3), (1,), (), is_required=True)),
        (FULL, NAMED, wants((1, 2, 3), (1,), (), is_required=True)),
        (FULL, NONE, wants((), (), (1, 2, 3), is_required=False)),
        (DIVIDED, ALL, wants((1, 2, 3), (1, 2), (), is_required=True)),
        (DIVIDED, NONE, wants((1, 2), (1, 2), (3,), is_required=False)),
        (Route(production=9), ALL, wants((), (), (), is_required=True)),
    ],
)
def test_what_a_route_wants_of_a_worker(route: Route, preload: Preload, expected: Wants) -> None:
    assert wants_of(state(route), preload) == expected


@pytest.mark.parametrize("preload", [ALL, NONE])
def test_what_a_switch_has_to_prove_is_loaded_and_pinned_and_not_required(
    preload: Preload,
) -> None:
    found = wants_of(state(Route(production=1), Route(production=4)), preload)

    assert key(4) in found.records
    assert key(4) in found.pinned
    assert key(4) not in found.required


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("all",), ALL),
        (("none",), NONE),
        ((), NONE),
        (("A",), NAMED),
        (("none", "A"), NAMED),
        (("A", "all"), Preload(frozenset({"A"}), is_all=True)),
    ],
)
def test_a_word_or_names_say_what_is_preloaded(words: tuple[str, ...], expected: Preload) -> None:
    assert parse_preload(words) == expected


def test_what_is_known_of_one_model_changes_without_the_others() -> None:
    known = KnownRoutes(Preload(frozenset({"B"})))
    known.replace({m: state(FULL, model=m) for m in ("A", "B")})
    known.take_aspired()
    known.take_unshown()
    known.unpublished.clear()

    known.take({"A"}, {"A": state(DIVIDED, Route(production=4), model="A")})

    taken = known.take_aspired()
    assert taken is not None
    aspired, changed = taken
    assert set(changed) == {key(n) for n in (1, 2, 3, 4)}
    assert aspired.records.keys() == {
        *(key(n) for n in (1, 2, 3, 4)),
        *(key(n, "B") for n in (1, 2, 3)),
    }
    assert aspired.pinned == {key(1), key(2), key(4), key(1, "B")}
    assert (known.unpublished, known.take_unshown(), known.take_unshown()) == ({"A"}, {"A"}, {"A"})
    assert [found.model for found, _ in known.opened()] == ["A"]
    assert known.required == {key(1), key(2), key(1, "B")}
    assert known.insisted == {key(1, "B")}
    assert known.table().models["A"].is_held(1)
    assert not known.table().models["A"].is_held(3)


def test_a_model_that_is_gone_leaves_nothing_behind() -> None:
    known = KnownRoutes(Preload())
    known.replace({"A": state(DIVIDED, Route(production=4))})

    known.take({"A"}, {})

    assert known.take_aspired() == (Aspired(), [key(1), key(2), key(3), key(4)])
    assert known.take_aspired() is None
    assert (known.states, known.opened(), known.take_unshown(), known.required) == (
        {}, [], set(), set(),
    )  # fmt: skip
    assert known.table().models == {}
