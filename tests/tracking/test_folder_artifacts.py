"""A local folder: no links followed, nothing half-written, nothing outside."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracking.errors import ResourceConflict, ResourceMissing, StorageFull
from tracking.folder_artifacts import FolderArtifacts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def test_a_link_to_a_folder_is_not_followed(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    artifacts = FolderArtifacts(root)

    with pytest.raises(ResourceMissing):
        artifacts.get_bytes("link/secret")
    with pytest.raises(ResourceMissing):
        artifacts.delete("link/secret")
    with pytest.raises(ResourceConflict):
        artifacts.put("link/new", b"1")

    assert [file.name for file in outside.iterdir()] == ["secret"]
    assert artifacts.list() == artifacts.list("link") == list(artifacts.walk()) == []


def test_a_link_to_a_file_is_not_followed(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside / "secret")
    artifacts = FolderArtifacts(root)

    with pytest.raises(ResourceMissing):
        artifacts.get_bytes("link")
    artifacts.put("link", b"mine")

    assert (outside / "secret").read_text() == "secret"
    assert artifacts.get_bytes("link") == b"mine"


def test_deleting_a_folder_removes_its_links_and_not_their_targets(
    root: Path, outside: Path
) -> None:
    artifacts = FolderArtifacts(root)
    artifacts.put("folder/a", b"1")
    (root / "folder" / "link").symlink_to(outside)

    artifacts.delete("folder")

    assert list(root.iterdir()) == []
    assert (outside / "secret").exists()


def test_what_is_no_file_is_not_read(root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(ResourceMissing):
        FolderArtifacts(root).get_bytes("pipe")


def test_a_file_and_a_folder_do_not_replace_each_other(root: Path) -> None:
    artifacts = FolderArtifacts(root)
    artifacts.put("a/b", b"1")

    for path in ("a", "a/b/c"):
        with pytest.raises(ResourceConflict):
            artifacts.put(path, b"2")

    assert artifacts.get_bytes("a/b") == b"1"


def test_a_file_being_written_is_not_seen(root: Path) -> None:
    artifacts = FolderArtifacts(root)
    seen: list[object] = []

    def slow() -> Iterator[bytes]:
        yield b"1"
        seen.extend([*artifacts.list("a"), *artifacts.walk()])
        yield b"2"

    artifacts.put("a/b", slow())

    assert seen == []
    assert os.listdir(root / "a") == ["b"]  # noqa: PTH208 - all names, as they are


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no full device here")
def test_a_full_disk_keeps_nothing(root: Path) -> None:
    with pytest.raises(StorageFull):
        FolderArtifacts(root).put("a", _full_disk())

    assert list(root.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_the_system_lets_nobody_write_keeps_nothing(root: Path, number: int) -> None:
    def stopped() -> Iterator[bytes]:
        yield b"1"
        raise OSError(number, "no more")

    with pytest.raises(StorageFull):
        FolderArtifacts(root).put("a", stopped())

    assert list(root.iterdir()) == []


def _full_disk() -> Iterator[bytes]:
    with Path("/dev/full").open("wb", buffering=0) as full:
        yield b"1"
        full.write(b"x")
