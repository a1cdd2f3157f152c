"""Artifacts at their extremes: large, empty, oddly named, and many at once into one folder."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.journeys.large_files import ARTIFACTS, PIECE_BYTES, fetch, peak_bytes, peak_of, send
from tests.journeys.server import Server

MIBS = 128
MOST_GROWTH_BYTES = 32 << 20
WRITERS = 16
NAMES = (
    "a b%.txt",
    "é ü.txt",
    "a?b#c",
    "q&=+;",
    "[x] (1).png",
    "~t",
    "層.json",
    "-",
    "…",
    "a" * 255,
)


def test_memory_that_was_taken_once_is_seen() -> None:
    """What measures the test below must be able to fail."""
    program = f"print(len(b'x' * {2 * MOST_GROWTH_BYTES}), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        peak = peak_of(child.pid)
        child.communicate(b"\n")

    assert peak > 2 * MOST_GROWTH_BYTES


def test_a_large_file_passes_both_ways_in_memory_that_stays_flat(shared: Server) -> None:
    """``make chaos`` does it with 1 and 5 GiB."""
    send(shared, "warm", 4)
    fetch(shared, "warm")
    before = peak_bytes(shared)

    sent = send(shared, "large/file", MIBS)
    fetched = fetch(shared, "large/file")

    assert fetched == sent
    assert peak_bytes(shared) - before < MOST_GROWTH_BYTES


def test_a_large_file_is_fetched_in_parts(shared: Server) -> None:
    whole = b"".join(n.to_bytes(4, "big") for n in range(PIECE_BYTES))
    path = f"{ARTIFACTS}/parts/file"
    shared.call("PUT", path, whole)

    replies = {
        asked: shared.get(path, range=f"bytes={asked}")
        for asked in ("0-0", "1048576-2097151", "4194300-", "-7")
    }

    assert {reply.status for reply in replies.values()} == {206}
    assert [reply.body for reply in replies.values()] == [
        whole[:1],
        whole[1 << 20 : 2 << 20],
        whole[4194300:],
        whole[-7:],
    ]
    assert replies["-7"].headers["content-range"] == "bytes 4194297-4194303/4194304"


def test_16_writers_into_one_new_folder_all_arrive_whole(shared: Server) -> None:
    """Under every odd name, also of 0 bytes; two write each name, and one of the two is kept."""
    contents = {
        (writer, name): b"" if name == "-" else hashlib.sha256(f"{writer}{name}".encode()).digest()
        for writer in range(WRITERS)
        for name in NAMES
    }

    def put(entry: tuple[tuple[int, str], bytes]) -> int:
        (writer, name), content = entry
        path = f"{ARTIFACTS}/crowd/{writer % 8}/deep/{quote(name, safe='')}"
        return shared.call("PUT", path, content).status

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = set(pool.map(put, contents.items()))

    assert statuses == {200}
    for folder in range(8):
        listed = shared.get(f"{ARTIFACTS}?path=crowd/{folder}/deep").json()["files"]
        assert {file["path"] for file in listed} == set(NAMES)
        for name in NAMES:
            path = f"{ARTIFACTS}/crowd/{folder}/deep/{quote(name, safe='')}"
            kept = shared.get(path).body
            assert kept in {contents[folder, name], contents[folder + 8, name]}


@pytest.mark.parametrize("name", ["a" * 256, "..", "a\\b", "a\nb"])
def test_a_name_that_no_file_may_have_is_refused(shared: Server, name: str) -> None:
    reply = shared.call("PUT", f"{ARTIFACTS}/odd/{quote(name, safe='')}", b"1")

    assert reply.status == 400
    assert reply.json()["message"].startswith("Invalid path")
