"""The hash that every SDK must agree on, and what a share of it means."""

import json
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.bucketing import (
    MAX_KEY_BYTES,
    bucket,
    check_key,
    exposure_salt,
    is_below,
    split_salt,
    variant_salt,
)
from tracking.errors import InvalidRequest

FOLDER = Path(__file__).parent
VECTORS = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
HASHES = st.integers(0, 2**64 - 1)
WEIGHTS = st.integers(0, 10_000)


def test_the_published_vectors_are_what_hashlib_alone_gives() -> None:
    generator = runpy.run_path(str(FOLDER / "generate_vectors.py"))

    written = generator["text"]()

    assert written == (FOLDER / "vectors.json").read_text(encoding="utf-8")
    assert len(VECTORS) == 1000


def test_bucket_gives_every_published_hash() -> None:
    hashed = [bucket(line["salt"], bytes.fromhex(line["key"])) for line in VECTORS]

    assert hashed == [int(line["hash"], 16) for line in VECTORS]


def test_a_key_enters_at_its_published_weight_and_not_before() -> None:
    entering = [
        (is_below(int(line["hash"], 16), bp - 1), is_below(int(line["hash"], 16), bp))
        for line in VECTORS
        for bp in [line["first_bp"]]
    ]

    assert entering == [(False, True)] * 1000


@settings(deadline=None)  # cores are shared
@given(hashed=HASHES, weights=st.tuples(WEIGHTS, WEIGHTS))
def test_growing_a_weight_keeps_earlier_keys(hashed: int, weights: tuple[int, int]) -> None:
    smaller, larger = sorted(weights)

    assert is_below(hashed, larger) or not is_below(hashed, smaller)


@settings(deadline=None)  # cores are shared
@given(hashed=HASHES)
def test_nobody_is_below_nothing_and_everybody_below_all(hashed: int) -> None:
    assert (is_below(hashed, 0), is_below(hashed, 10_000)) == (False, True)


def test_the_edge_of_a_share_is_exact_in_integers() -> None:
    edge = 3333 * 2**64 // 10_000

    assert (is_below(edge - 1, 3333), is_below(edge, 3333)) == (True, False)


def test_salts_are_those_of_the_specification() -> None:
    salt = split_salt("7f")

    assert (salt, exposure_salt(salt), variant_salt(salt)) == (
        "model:7f",
        "model:7f/expose",
        "model:7f/variant",
    )


@pytest.mark.parametrize("missing", [None, b""])
def test_an_empty_key_is_a_missing_one(missing: bytes | None) -> None:
    assert check_key(missing) is None


def test_a_key_of_full_length_is_taken_and_a_longer_one_refused() -> None:
    assert check_key(b"k" * MAX_KEY_BYTES) == b"k" * MAX_KEY_BYTES
    with pytest.raises(InvalidRequest, match="513 bytes and may have at most 512"):
        check_key(b"k" * (MAX_KEY_BYTES + 1))
