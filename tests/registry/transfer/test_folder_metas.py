import tracemalloc

import pytest

from registry.transfer.folder_metas import ExperimentMeta, LinkMeta, read_meta, write_meta
from tracking.errors import InvalidRequest

JOINS = b"a: &a {x: 1, y: 2}\n" + b"".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n".encode()
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
ALIASES = b"a: &a [x, x]\n" + b"".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n".encode()
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
GOOD = ExperimentMeta(experiment_id="1", name="no: 'é' \n 🎉", creation_time=3)


def test_what_is_written_is_read_again() -> None:
    assert read_meta(write_meta(GOOD), ExperimentMeta) == GOOD


def test_old_files_have_numbers_for_ids() -> None:
    assert read_meta(b"experiment_id: 7\nname: a\n", ExperimentMeta).experiment_id == 7


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"- 1",
        b"name: [unclosed",
        b"experiment_id: 1\nname: [a]",
        b"\xff\xfe\x00",
        b"experiment_id: '1'\nname: !!python/object/apply:os.system ['touch /tmp/owned']",
        b"experiment_id: 2026-99-99\nname: a",
        b"[" * 5_000,
        JOINS + b"experiment_id: '1'\nname: *j",
        ALIASES + b"experiment_id: '1'\nname: *j",
    ],
)
def test_what_is_no_meta_is_refused_in_one_line(data: bytes) -> None:
    tracemalloc.start()

    with pytest.raises(InvalidRequest, match=r"its meta\.yaml cannot be read \([^\n]+\)$"):
        read_meta(data, ExperimentMeta)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


def test_a_bomb_in_a_key_that_nobody_reads_stays_small() -> None:
    meta = read_meta(ALIASES + b"experiment_id: '1'\nname: a", ExperimentMeta)

    assert meta.name == "a"


def test_tags_are_texts() -> None:
    with pytest.raises(InvalidRequest):
        read_meta(b"source_type: A\nsource_id: b\ndestination_type: R\ntags: {a: [1]}", LinkMeta)
