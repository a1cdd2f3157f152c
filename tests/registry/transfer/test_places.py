from pathlib import Path

import pytest

from registry.transfer.places import Places
from tracking.artifacts import open_artifacts
from tracking.errors import InvalidRequest


def read(places: Places, location: str) -> dict[str, bytes]:
    place = places.find(location)
    return {
        file.path: place.store.get_bytes(f"{place.folder}/{file.path}")
        for file in place.store.walk(place.folder)
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    file = tmp_path / "mlruns/1/run é/artifacts/a.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"s")
    return tmp_path / "mlruns"


def test_every_form_of_a_location_leads_to_the_same_files(root: Path) -> None:
    places = Places([str(root)], None, beside=root.parent)
    folder = root / "1/run é/artifacts"

    for location in (
        str(folder),
        folder.as_uri(),
        "mlruns/1/run é/artifacts/",
        f"{folder}/../artifacts",
    ):
        assert read(places, location) == {"a.txt": b"a"}


@pytest.mark.parametrize("location", ["/etc", "..", "mlruns/../secret", "s3://b/x", "file:///etc"])
def test_what_lies_outside_is_not_read_and_the_option_is_named(root: Path, location: str) -> None:
    places = Places([str(root)], None, beside=root.parent)

    with pytest.raises(InvalidRequest, match="--artifacts-root"):
        places.find(location)


def test_what_a_server_serves_is_read_from_where_it_keeps_it(root: Path) -> None:
    served = Places([], open_artifacts(str(root)))

    for location in (
        "mlflow-artifacts:/1/run é/artifacts",
        "mlflow-artifacts://host:5000/1/run é/artifacts",
    ):
        assert read(served, location) == {"a.txt": b"a"}
    with pytest.raises(InvalidRequest, match="Invalid path"):
        served.find("mlflow-artifacts:/1/../../secret")
    with pytest.raises(InvalidRequest, match="--served-artifacts"):
        Places([str(root)], None).find("mlflow-artifacts:/1")


def test_links_are_told(root: Path) -> None:
    (root / "1/run é/artifacts/link").symlink_to(root.parent / "secret")
    place = Places([str(root)], None).find(str(root / "1/run é/artifacts"))

    assert list(place.links()) == ["link"]
