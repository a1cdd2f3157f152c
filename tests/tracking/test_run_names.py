"""Names for runs."""

from random import Random

from tracking.run_names import name_run


def test_a_name_is_an_adjective_a_noun_and_a_number() -> None:
    names = [name_run(Random(seed)) for seed in range(300)]

    assert all(len(name.split("-")) == 3 and len(name) <= 20 for name in names)
    assert all(name.rpartition("-")[2].isdecimal() for name in names)
    assert len(set(names)) > 250


def test_one_seed_gives_one_name() -> None:
    assert name_run(Random(1)) == name_run(Random(1))
