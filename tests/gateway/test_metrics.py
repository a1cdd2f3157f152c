import threading
from pathlib import Path
from queue import SimpleQueue

import pytest
from prometheus_client import CollectorRegistry, Counter

from gateway.metrics import (
    RequestLabels,
    metrics_page,
    observe_assignment,
    observe_load_failure,
    observe_request,
    observe_state,
    scrape,
)
from gateway.series import MAX_VERSIONS, OTHER, Bound, Names
from tests.gateway.forked import ROOT, run

LABELS = RequestLabels(model="iris", version="2", variant="stable", protocol="mlflow")


def test_every_metric_is_on_the_page_before_anything_was_counted(tmp_path: Path) -> None:
    script = """
in_child(lambda: count(2))
before = metrics.scrape().decode()
in_child(metrics.expect_deliveries)
after = metrics.scrape().decode()
print([m._name for m in metrics.ALL if before.count(f'# TYPE {m._name}') != 1], end=' ')
print(value('stagedoor_requests_total'), before.count('stagedoor_requests_total{'), end=' ')
print(after.count('} 0.0') - before.count('} 0.0'), 'outcome="given_up"} 0.0' in after)
"""

    assert run(script, tmp_path) == "[] 2.0 1 3 True"


def test_a_request_is_counted_and_timed() -> None:
    observe_request(LABELS, "200", 0.004)

    page = scrape().decode()
    series = 'model="iris",protocol="mlflow",variant="stable",version="2"'
    assert f'stagedoor_requests_total{{code="200",{series}}}' in page
    assert f'stagedoor_request_duration_seconds_bucket{{le="0.005",{series}}}' in page


def test_a_version_is_in_one_state_at_a_time() -> None:
    observe_state("pine", "1", "", "LOADING")
    observe_state("pine", "1", "LOADING", "READY")

    page = scrape().decode()
    assert 'stagedoor_model_state{model="pine",state="LOADING",version="1"} 0.0' in page
    assert 'stagedoor_model_state{model="pine",state="READY",version="1"} 1.0' in page


def test_a_version_that_shares_a_series_is_counted_out_of_it_again() -> None:
    """Also when a place of its own has become free meanwhile."""
    versions = [str(number) for number in range(MAX_VERSIONS + 2)]
    for version in versions:
        observe_state("larch", version, "", "READY")
    observe_state("larch", "0", "READY", "")

    for version in versions[1:]:
        observe_state("larch", version, "READY", "")

    lines = [line for line in scrape().decode().splitlines() if 'model_state{model="larch"' in line]
    assert len(lines) == MAX_VERSIONS + 1
    assert {line.rpartition(" ")[2] for line in lines} == {"0.0"}


def test_assignments_and_failed_loads_are_counted() -> None:
    observe_assignment("fir", "candidate", "hash")
    observe_load_failure("fir", "LOADING", "permanent")

    page = scrape().decode()
    assert 'stagedoor_assignments_total{experiment="",model="fir",reason="hash"' in page
    assert 'class="permanent",model="fir",phase="LOADING"' in page


def test_label_values_beyond_the_cap_share_one_series() -> None:
    counter = Counter("x", "x", ("model", "code"), registry=CollectorRegistry())
    bound = Bound(counter.labels, max_series=2)

    children = [bound(name, "200") for name in ("a", "b", "c", "d")]

    assert children[2] is children[3] is counter.labels(OTHER, OTHER)
    assert bound("a", "200") is children[0]


def test_a_new_series_is_made_in_a_thread_and_an_old_one_used_at_once() -> None:
    """Making one takes as long as several requests, which wait on the same event loop."""
    registry = CollectorRegistry()
    counter = Counter("soon", "x", ("model",), registry=registry)
    bound = Bound(counter.labels, names=Names())
    here, threads = threading.get_ident(), SimpleQueue[int]()

    def use(child: Counter) -> None:
        child.inc()
        threads.put(threading.get_ident())

    bound.use_soon(("iris",), use)
    assert threads.get(timeout=20) != here
    bound.use_soon(("iris",), use)

    assert threads.get(timeout=20) == here
    assert registry.get_sample_value("soon_total", {"model": "iris"}) == 2


def test_models_beyond_the_cap_share_series_by_what_else_is_told() -> None:
    counter = Counter("x", "x", ("model", "version", "code"), registry=CollectorRegistry())
    bound = Bound(counter.labels, has_version=True, names=Names())

    children = [bound(f"m{index}", "1", "200") for index in range(202)]

    assert children[199] is counter.labels("m199", "1", "200")
    assert children[200] is children[201] is counter.labels(OTHER, OTHER, "200")
    assert bound("m201", "", "503") is counter.labels(OTHER, "", "503")


def test_versions_beyond_the_cap_share_one_series_until_another_is_gone() -> None:
    names = Names()
    first = [names.version("m", str(number)) for number in range(MAX_VERSIONS + 1)]

    names.forget("m", "0")

    assert first == [("m", "0"), ("m", "1"), ("m", "2"), ("m", "3"), ("m", OTHER)]
    assert names.version("m", "9") == ("m", "9")
    assert names.version("m", "0") == ("m", OTHER)


def test_a_model_without_versions_leaves_its_place_to_another() -> None:
    names = Names(max_models=1)
    assert (names.version("a", "1"), names.model("b")) == (("a", "1"), OTHER)

    names.forget("a", "1")

    assert (names.model("b"), names.model("a")) == ("b", OTHER)


def test_requests_of_models_that_share_a_series_are_all_counted() -> None:
    registry = CollectorRegistry()
    counter = Counter("x", "x", ("model",), registry=registry)
    bound = Bound(counter.labels, names=Names(max_models=1))

    for index in range(1000):
        bound(f"m{index}").inc()

    assert registry.get_sample_value("x_total", {"model": OTHER}) == 999


def test_the_counts_of_several_processes_are_added_up(tmp_path: Path) -> None:
    script = """
in_child(lambda: count(3)); in_child(lambda: count(4))
print(value("stagedoor_requests_total"), value("stagedoor_route_epoch"))
"""
    assert run(script, tmp_path) == "7.0 3.0"


def test_counters_stay_and_gauges_go_when_a_process_is_folded(tmp_path: Path) -> None:
    script = """
pids = [in_child(lambda: count(3)), in_child(lambda: count(4))]
before = value("stagedoor_inflight_requests")
for pid in pids:
    metrics.fold(folder, pid)
    print(value("stagedoor_requests_total"), end=" ")
print(value("stagedoor_request_duration_seconds_count"), before, end=" ")
print(value("stagedoor_inflight_requests"), len(list(folder.glob("*.db"))))
"""
    assert run(script, tmp_path) == "7.0 7.0 7.0 2.0 0 2"


def test_a_file_that_a_new_process_has_only_just_made_counts_as_nothing(tmp_path: Path) -> None:
    script = """
in_child(lambda: count(3))
(folder / "counter_999.db").touch()
print(value("stagedoor_requests_total"))
"""
    assert run(script, tmp_path) == "3.0"


@pytest.mark.parametrize("content", [b"", b"\xff\x00\x00\x00" + b"\x01" * 60])
def test_a_file_that_was_cut_off_is_dropped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counter_999.db").write_bytes(content)
    script = """
in_child(lambda: count(3))
metrics.fold(folder, 999)
print(value("stagedoor_requests_total"))
"""
    assert run(script, tmp_path) == "3.0"


def test_the_page_of_metrics_is_up_to_date() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()

    assert page == metrics_page(), "run: python -m gateway.metrics > docs/metrics.md"
