"""MLflow's own scoring server and ours, on the same requests.

``scoring_answers.json`` is what a real ``mlflow models serve`` answered (``make interop-scoring``
asks it again, and ours over HTTP too). Every difference is in the table below, with its reason.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.record_scoring import RECORD
from tests.interop.scoring_bodies import GOOD, Case, cases
from tests.interop.scoring_ours import answer, load_models
from tests.interop.scoring_servers import save_models

THEIRS, OURS, NUMBERS = "only MLflow answers", "only we answer", "the numbers differ"
OK = 200

REASONS: dict[str, tuple[str, list[str]]] = {
    "A column that the model does not know, while an optional one is missing, may be that one.": (
        THEIRS,
        ["a column more"],
    ),
    "Text that looks like a number is text: what a form sends is converted where it is known.": (
        THEIRS,
        ['price: "1.5"', 'count: "3"', 'whole: "4"', 'real: "4"', "table: digits"],
    ),
    "Booleans are no numbers, and numbers are no text and no moments.": (
        THEIRS,
        [
            "price: true", "count: true", "whole: true", "table: booleans", "word: 5", "word: 1.5",
            "word: true", 'word: ["a"]', "when: 5", "when: true",
        ],
    ),
    "Only true and false are booleans: MLflow takes any text for true, and null for false.": (
        THEIRS,
        ["flag: 0", "flag: 1", "flag: 1.0", 'flag: "true"', 'flag: "x"', "flag: null"],
    ),
    "A fraction is not cut off, and a number out of range does not wrap or become infinite.": (
        THEIRS,
        ["count: 3.5", "whole: 4.5", f"count: {2**63}", f"whole: {2**31}", "real: 1e+39"],
    ),
    "NaN and Infinity are no JSON: null is a missing value, and raw tensors carry the rest.": (
        THEIRS,
        ["price: NaN", "price: Infinity", "extra: NaN", "real: NaN", "table: NaN"],
    ),
    "A tensor has no missing values: null, and a short row, are refused and not filled.": (
        THEIRS,
        ["table: null", "table: ragged"],
    ),
    "A request without rows, or with params that are none, is a mistake, and told so.": (
        THEIRS,
        ["split without rows", "params are a list"],
    ),
    "An empty text is no moment; null is a missing one.": (THEIRS, ['when: ""']),
    "A moment whose day may be its month is refused.": (THEIRS, ["a moment alone: 01/05/2024"]),
    "Each moment is read by itself: pandas wants all of a column in the format of the first.": (
        OURS,
        [
            'when: "2024-05-01"', 'when: "2024-05-01T12:34:56.789"', 'when: "2024-05-01T00:00:00Z"',
            'when: "2024-05-01T02:00:00+02:00"',
        ],
    ),
    "MLflow reads no moments from CSV: pandas refuses the type. We read ISO 8601.": (
        OURS,
        [
            'when: "1969-12-31T23:59:59"', "extra: NaN", 'when: ""', "when: null",
            "extra: 2.0", "extra: null",
        ],
    ),
    "Unknown keys beside what is known are ignored, here too.": (
        OURS,
        ["split with an unknown key"],
    ),
    "A missing text stays missing: MLflow makes the text 'None' of it.": (NUMBERS, ["word: null"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """Kind and tag of each difference, with a shape in which it was found."""
    folder: Path = tmp_path_factory.mktemp("scoring")
    save_models(folder)
    models = load_models(folder)
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    pairs = [
        (case, theirs, answer(models[case.model], case))
        for case, theirs in zip(cases(), recorded, strict=True)
    ]
    return {(kind, case.tag): case.shape for case, *both in pairs if (kind := differ(*both))}


def differ(theirs: list[Any], ours: list[Any]) -> str:
    """Say in what two answers differ; empty if they are alike."""
    if theirs[0] == ours[0] == OK:
        return "" if theirs[1] == ours[1] else NUMBERS
    if OK in (theirs[0], ours[0]):
        return THEIRS if theirs[0] == OK else OURS
    return ""


def test_the_difference_of_two_answers_is_seen() -> None:
    """The checker itself: it must be able to fail."""
    refused, one = [400, None], [200, [1.0]]

    assert [differ(one, [200, [1.5]]), differ(one, refused), differ(refused, one)] == [
        NUMBERS,
        THEIRS,
        OURS,
    ]
    assert differ(one, one) == differ(refused, [500, None]) == ""


def test_every_difference_has_its_reason_and_every_reason_its_difference(
    differences: dict[tuple[str, str], str],
) -> None:
    expected = {(kind, tag) for kind, tags in REASONS.values() for tag in tags}

    assert set(differences) - expected == set(), "a difference without a reason"
    assert expected - set(differences) == set(), "a reason without a difference"


def test_what_is_as_it_should_be_is_answered_by_both_alike(
    differences: dict[tuple[str, str], str],
) -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    good = [status for case, (status, _) in zip(cases(), recorded, strict=True) if _is_good(case)]

    assert len(recorded) >= 500
    assert (len(good), set(good)) == (143, {OK})
    assert not {kind for kind, tag in differences if tag.endswith(GOOD)}


def _is_good(case: Case) -> bool:
    return case.tag.endswith(GOOD)
