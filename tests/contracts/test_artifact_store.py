"""What every artifact store does: in a folder, in an object store, and through a server's proxy."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.tracking_server import TrackingServer
from tracking.artifacts import ArtifactStore, open_artifacts
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.http import HttpApi
from tracking.http_artifacts import HttpArtifacts
from tracking.wire import FileInfo

LARGE = bytes(range(256)) * 12_345


@pytest.fixture(params=["folder", "memory", "s3", "http", "http to s3"])
def artifacts(
    request: pytest.FixtureRequest, tmp_path: Path, tracking_server: TrackingServer
) -> Iterator[ArtifactStore]:
    local = open_artifacts(_destination(request, tmp_path))
    if not request.param.startswith("http"):
        yield local
        return
    tracking_server.artifacts = local
    api = HttpApi(tracking_server.address, retry_for_s=0)
    yield HttpArtifacts(api)
    api.close()


def _destination(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "memory":
        return "memory:///"
    if request.param.endswith("s3"):
        return str(request.getfixturevalue("bucket_url"))
    return str(folder / "root")


def file(path: str, size: int) -> FileInfo:
    return FileInfo(path=path, is_dir=False, file_size=size)


@pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "small", "large"])
def test_what_was_put_is_got_with_its_digest(artifacts: ArtifactStore, content: bytes) -> None:
    digest = artifacts.put("a/b.bin", content)

    assert artifacts.get_bytes("a/b.bin") == content
    assert b"".join(artifacts.get("a/b.bin")) == content
    assert artifacts.size("a/b.bin") == len(content)
    assert digest == hashlib.sha256(content).hexdigest()


def test_a_local_file_and_pieces_can_be_put(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)

    digests = {artifacts.put("file", source), artifacts.put("pieces", iter([LARGE[:9], LARGE[9:]]))}

    assert digests == {hashlib.sha256(LARGE).hexdigest()}
    assert artifacts.get_bytes("file") == artifacts.get_bytes("pieces") == LARGE


def test_putting_again_replaces(artifacts: ArtifactStore) -> None:
    artifacts.put("a", LARGE)
    artifacts.put("a", b"new")

    assert artifacts.get_bytes("a") == b"new"


@pytest.mark.parametrize(
    "name",
    ["a b%.txt", "é ü.txt", "a?b#c", "q&=+;", "[x] (1).png", "~t", "100%", "層.json", "a%20b%25c"],
)
def test_names_that_need_encoding_are_kept(artifacts: ArtifactStore, name: str) -> None:
    artifacts.put(f"dir {name}/{name}", b"1")

    assert artifacts.get_bytes(f"dir {name}/{name}") == b"1"
    assert artifacts.list(f"dir {name}") == [file(name, 1)]


def test_a_folder_is_listed_one_level_deep(artifacts: ArtifactStore) -> None:
    for path in ("run/a.txt", "run/model/MLmodel", "run/model/deep/x", "runner"):
        artifacts.put(path, b"12")

    assert artifacts.list("run") == [file("a.txt", 2), FileInfo(path="model", is_dir=True)]
    assert [entry.path for entry in artifacts.list()] == ["run", "runner"]


def test_a_missing_folder_and_a_file_list_as_nothing(artifacts: ArtifactStore) -> None:
    artifacts.put("a", b"1")

    assert artifacts.list("nothing") == []
    assert artifacts.list("a") == []


def test_walking_finds_all_files_relative_to_the_folder(artifacts: ArtifactStore) -> None:
    for path in ("run/b", "run/a", "run/m/x", "run/m/n/y", "other"):
        artifacts.put(path, b"1")

    assert sorted(entry.path for entry in artifacts.walk("run")) == ["a", "b", "m/n/y", "m/x"]
    assert len(list(artifacts.walk())) == 5


def test_a_file_that_is_not_there_is_missing(artifacts: ArtifactStore) -> None:
    artifacts.put("folder/a", b"1")

    for path in ("nothing", "folder", "folder/b", "folder/a/b"):
        with pytest.raises(ResourceMissing, match=path):
            artifacts.get_bytes(path)
        with pytest.raises(ResourceMissing, match=path):
            artifacts.size(path)
    with pytest.raises(ResourceMissing, match="nothing"):
        artifacts.delete("nothing")


def test_a_file_and_a_tree_are_deleted_and_nothing_beside_them(artifacts: ArtifactStore) -> None:
    for path in ("run/a", "run/m/x", "run/m/n/y", "run/mm"):
        artifacts.put(path, b"1")

    artifacts.delete("run/a")
    artifacts.delete("run/m")

    assert [entry.path for entry in artifacts.walk("run")] == ["mm"]


@pytest.mark.parametrize(
    "path",
    ["../x", "/x", "a/../x", "a//b", "a/", ".", "", "a\\b", "C:/x", "a\nb", "%2e%2e/x", "a%2Fb"],
)
def test_a_path_that_may_not_name_an_artifact_is_refused(
    artifacts: ArtifactStore, path: str
) -> None:
    with pytest.raises(InvalidRequest, match="Invalid path"):
        artifacts.put(path, b"1")
    with pytest.raises(InvalidRequest, match="Invalid path"):
        artifacts.get_bytes(path)
    with pytest.raises(InvalidRequest, match="Invalid path"):
        artifacts.delete(path)


def test_a_folder_and_a_file_are_downloaded(artifacts: ArtifactStore, tmp_path: Path) -> None:
    artifacts.put("run/model/MLmodel", b"m")
    artifacts.put("run/model/data/x.bin", LARGE)

    folder = artifacts.download("run/model", tmp_path / "to")
    single = artifacts.download("run/model/MLmodel", tmp_path / "one")

    assert folder == tmp_path / "to"
    assert (folder / "MLmodel").read_bytes() == b"m"
    assert (folder / "data/x.bin").read_bytes() == LARGE
    assert single == tmp_path / "one" / "MLmodel"
    with pytest.raises(ResourceMissing):
        artifacts.download("nothing", tmp_path / "no")


def test_uploads_at_once_into_new_folders_all_arrive(artifacts: ArtifactStore) -> None:
    paths = [f"run/{number % 3}/{number}" for number in range(24)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: artifacts.put(path, path.encode()), paths))

    assert sorted(entry.path for entry in artifacts.walk()) == sorted(paths)


def test_an_upload_that_breaks_off_leaves_what_was_there(artifacts: ArtifactStore) -> None:
    def broken() -> Iterator[bytes]:
        yield LARGE
        raise RuntimeError("the source broke")

    artifacts.put("run/a", b"old")

    with pytest.raises(RuntimeError, match="the source broke"):
        artifacts.put("run/a", broken())

    assert artifacts.get_bytes("run/a") == b"old"
    assert [entry.path for entry in artifacts.walk()] == ["run/a"]
