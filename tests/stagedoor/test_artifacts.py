import json
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure

import stagedoor
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.wire import FileInfo


def read(run_id: str, path: str) -> bytes:
    return Path(stagedoor.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def test_files_and_folders_are_logged_and_listed(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("a")
    (tmp_path / "in" / "deep" / "b.txt").write_text("b")

    with stagedoor.start_run() as run:
        stagedoor.log_artifact(tmp_path / "in" / "a.txt")
        stagedoor.log_artifact(str(tmp_path / "in"), "copies")
        stagedoor.log_artifacts(tmp_path / "in", "all")

    run_id = run.info.run_id
    assert stagedoor.list_artifacts(run_id) == [
        FileInfo(path="a.txt", is_dir=False, file_size=1),
        FileInfo(path="all", is_dir=True),
        FileInfo(path="copies", is_dir=True),
    ]
    assert [info.path for info in stagedoor.list_artifacts(run_id, "all")] == [
        "all/a.txt",
        "all/deep",
    ]
    assert read(run_id, "copies/in/deep/b.txt") == b"b"


def test_values_are_logged_by_the_ending_of_their_name() -> None:
    with stagedoor.start_run() as run:
        stagedoor.log_dict({"a": [1, None]}, "x/one.json")
        stagedoor.log_dict({"a": "ü"}, "two.yaml")
        stagedoor.log_text("hällo", "three.txt")

    assert json.loads(read(run.info.run_id, "x/one.json")) == {"a": [1, None]}
    assert yaml.safe_load(read(run.info.run_id, "two.yaml")) == {"a": "ü"}
    assert read(run.info.run_id, "three.txt").decode() == "hällo"


def test_a_figure_is_logged_in_the_format_of_its_name() -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])

    with stagedoor.start_run() as run:
        stagedoor.log_figure(figure, "plots/line.png")

    assert read(run.info.run_id, "plots/line.png").startswith(b"\x89PNG")


def test_what_is_no_figure_is_refused() -> None:
    with stagedoor.start_run(), pytest.raises(InvalidRequest, match="'str' is no figure"):
        stagedoor.log_figure("picture", "a.png")


def test_a_folder_is_downloaded_under_its_name(tmp_path: Path) -> None:
    with stagedoor.start_run() as run:
        stagedoor.log_text("1", "d/e/one.txt")

    copy = stagedoor.download_artifacts(
        run_id=run.info.run_id, artifact_path="d", dst_path=tmp_path / "out"
    )
    by_uri = stagedoor.download_artifacts(f"runs:/{run.info.run_id}/d/e")

    assert Path(copy) == tmp_path / "out" / "d"
    assert (tmp_path / "out" / "d" / "e" / "one.txt").read_text() == "1"
    assert (Path(by_uri) / "one.txt").read_text() == "1"


@pytest.mark.parametrize("path", ["../up.txt", "a/../../up.txt", "/etc/x", "a//b", "a\\b", ""])
def test_a_path_that_leaves_the_run_is_refused(path: str) -> None:
    with stagedoor.start_run(), pytest.raises(InvalidRequest):
        stagedoor.log_text("x", path)


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    with stagedoor.start_run() as run:
        for log in (stagedoor.log_artifact, stagedoor.log_artifacts):
            with pytest.raises(ResourceMissing, match="gone"):
                log(tmp_path / "gone")

    with pytest.raises(ResourceMissing):
        stagedoor.download_artifacts(run_id=run.info.run_id, artifact_path="gone")
    with pytest.raises(ResourceMissing):
        stagedoor.download_artifacts(f"runs:/{run.info.run_id}/gone")


def test_a_download_is_of_a_uri_or_of_a_run() -> None:
    with pytest.raises(InvalidRequest, match="artifact_uri, or a run_id"):
        stagedoor.download_artifacts()
