import xml.etree.ElementTree as ET

import pytest

from loadtests.flame_drawing import Box, boxes, draw, fold

STACKS = [
    "main;loop;answer (gateway/serving/engine.py) 30",
    "main;loop;answer (gateway/serving/engine.py);take 20",
    "main;loop;<lambda> 49",
    "main;loop;seldom 1",
    "main;start 2",
    "",
]


def test_functions_are_as_wide_as_their_share() -> None:
    found = list(boxes(fold(STACKS)))

    assert found == [
        Box("loop", 0, 0.0, 1.0),
        Box("answer (gateway/serving/engine.py)", 1, 0.0, 0.5),
        Box("take", 2, 0.0, 0.2),
        Box("<lambda>", 1, 0.5, 0.49),
        Box("seldom", 1, 0.99, 0.01),
    ]


def test_what_is_too_narrow_to_be_seen_is_left_out() -> None:
    found = [box.name for box in boxes(fold(["a;b 999", "a;c 500", "a;d 1"]))]

    assert found == ["a", "b", "c"]


def test_the_picture_is_plain_xml() -> None:
    picture = draw(fold(STACKS), "1 < 2")

    root = ET.fromstring(picture)
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "<lambda>: 49.0%" in titles
    assert "script" not in picture


@pytest.mark.parametrize("lines", [[], [""], ["alone 0"]])
def test_nothing_sampled_is_an_empty_picture(lines: list[str]) -> None:
    assert list(boxes(fold(lines))) == []
    assert ET.fromstring(draw(fold(lines), "")).tag.endswith("svg")
