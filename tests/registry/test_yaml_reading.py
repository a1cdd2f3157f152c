"""YAML is read fast, and no text ends the process."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry.yaml_reading import read_yaml

texts = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(plain)
def test_what_was_written_is_read(value: object) -> None:
    text = yaml.safe_dump(value)

    assert read_yaml(text) == yaml.safe_load(text) == value
    assert read_yaml(text.encode()) == value


@pytest.mark.parametrize("deep", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_no_depth_ends_the_process(deep: str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(deep)


def test_a_hundred_levels_are_read() -> None:
    assert read_yaml("[" * 100 + "]" * 100)
    with pytest.raises(yaml.YAMLError, match="100 levels"):
        read_yaml("[" * 101 + "]" * 101)


@pytest.mark.parametrize("text", [b"\xff\xfe\xff", b"a: *b", b"a: !!python/object:os.x {}", "\x00"])
def test_what_is_no_plain_yaml_is_refused(text: bytes | str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)
