import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import (
    FileDigest,
    Manifest,
    build_manifest,
    digest,
    find_difference,
    hash_folder,
)
from tracking.errors import InvalidRequest, ResourceMissing

ENTRIES = st.lists(
    st.builds(
        FileDigest,
        path=st.text("ab/é ", min_size=1, max_size=6),
        size_bytes=st.integers(0, 1 << 40),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    ),
    unique_by=lambda entry: entry.path,
    max_size=6,
)


def make_folder(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_bytes(b"flavors: {}")
    (folder / "deep" / "model.pkl").write_bytes(b"\x00\x01")
    (folder / "empty").write_bytes(b"")
    return folder


def test_a_folder_hashes_to_its_files_sorted_by_path(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")

    manifest = hash_folder(folder)

    expected = [("MLmodel", b"flavors: {}"), ("deep/model.pkl", b"\x00\x01"), ("empty", b"")]
    assert manifest.files == tuple(
        FileDigest(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in expected
    )


def test_the_digest_is_the_sha256_of_the_json_rows() -> None:
    manifest = build_manifest([FileDigest("b", 2, "ff"), FileDigest("é", 0, "00")])

    found = digest(manifest)

    assert found == hashlib.sha256('[["b",2,"ff"],["é",0,"00"]]'.encode()).hexdigest()


@given(ENTRIES)
def test_the_digest_does_not_depend_on_the_order_of_listing(entries: list[FileDigest]) -> None:
    forwards, backwards = build_manifest(entries), build_manifest(reversed(entries))

    assert digest(forwards) == digest(backwards)


@given(ENTRIES, ENTRIES)
def test_different_files_have_different_digests(
    one: list[FileDigest], other: list[FileDigest]
) -> None:
    first, second = build_manifest(one), build_manifest(other)

    assert (digest(first) == digest(second)) == (first == second)


def test_a_path_listed_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'a' twice"):
        build_manifest([FileDigest("a", 1, "00"), FileDigest("a", 2, "11")])


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    (folder / "link").symlink_to(folder / "MLmodel")

    with pytest.raises(InvalidRequest, match="'link' is not a plain file"):
        hash_folder(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceMissing, match="'gone' is no folder"):
        hash_folder(tmp_path / "gone")


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("empty", None, "The file 'empty' is missing."),
        ("MLmodel", b"short", "The file 'MLmodel' has 5 bytes, not 11."),
        (
            "deep/model.pkl",
            b"\x00\x03",
            "The file 'deep/model.pkl' has other bytes than the ones registered.",
        ),
        ("more", b"", "The file 'more' was not there at registration."),
    ],
)
def test_one_changed_file_is_named(
    tmp_path: Path, path: str, data: bytes | None, expected: str
) -> None:
    folder = make_folder(tmp_path / "model")
    registered = hash_folder(folder)
    if data is None:
        (folder / path).unlink()
    else:
        (folder / path).write_bytes(data)

    assert find_difference(registered, hash_folder(folder)) == expected


def test_equal_folders_have_no_difference() -> None:
    manifest = Manifest(files=(FileDigest("a", 1, "00"),))

    assert find_difference(manifest, manifest) is None
