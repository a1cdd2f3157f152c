from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from gateway.exemplars import EXEMPLARS, Exemplars
from gateway.metrics import RequestLabels, observe_request
from gateway.openmetrics import prefers_openmetrics, scrape_openmetrics
from tests.gateway.forked import run

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2"
)
IN_CHILDREN = """
from gateway.exemplars import EXEMPLARS
from gateway.openmetrics import scrape_openmetrics
from tracking.clock import now_ms

def trace(model, seconds, trace_id):
    began = now_ms()
    while now_ms() == began:  # so that no two are of the same moment
        pass
    metrics.observe_request(metrics.RequestLabels(model, "1", "", "mlflow"), "200", seconds)
    EXEMPLARS.note((model, "1", "", "mlflow"), seconds, trace_id)
    EXEMPLARS.write()
"""
PRINT = "print(scrape_openmetrics().decode(), end='')"


def exemplars(page: str) -> dict[tuple[str, str], Exemplar]:
    """Return those of request times, by model and bound; the parser refuses what is no page."""
    return {
        (sample.labels["model"], sample.labels["le"]): sample.exemplar
        for family in text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }


def test_who_prefers_openmetrics_gets_it() -> None:
    wanted = [
        PROMETHEUS,
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; version=1.0.0 , text/plain;q=0.5",
        "text/plain, application/openmetrics-text",
    ]
    others = [
        "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.8",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=nonsense",
        "*/*",
        ",;,",
        "",
    ]

    answers = [prefers_openmetrics(accept) for accept in (*wanted, *others)]

    assert answers == [True] * len(wanted) + [False] * len(others)


def test_a_process_on_its_own_shows_its_exemplars() -> None:
    for seconds, trace_id in ((0.0025, 1), (60.0, 2), (0.002, 3)):
        observe_request(RequestLabels("oak", "1", "", "mlflow"), "200", seconds)
        EXEMPLARS.note(("oak", "1", "", "mlflow"), seconds, trace_id)

    found = exemplars(scrape_openmetrics().decode())

    told = {
        key[1]: (one.labels["trace_id"][-1], one.value)
        for key, one in found.items()
        if key[0] == "oak"
    }
    assert told == {"0.0025": ("3", 0.002), "+Inf": ("2", 60.0)}


def test_of_all_workers_the_newest_is_shown_and_those_of_the_dead_are_not(tmp_path: Path) -> None:
    script = """
gone = in_child(lambda: trace("m", 0.3, 0xa))
in_child(lambda: trace("m", 0.02, 0xb))
in_child(lambda: trace("m", 0.021, 0xc))
in_child(lambda: trace("n", 0.02, 0xd))
in_child(lambda: count(3))
metrics.fold(folder, gone)
"""

    page = run(IN_CHILDREN + script + PRINT, tmp_path)

    shown = {key: int(one.labels["trace_id"], 16) for key, one in exemplars(page).items()}
    assert shown == {("m", "0.025"): 0xC, ("n", "0.025"): 0xD}
    assert (
        'duration_seconds_bucket{le="0.5",model="m",protocol="mlflow",variant="",version="1"} 6'
        in page
    )


def test_what_a_worker_left_half_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "exemplars_1.json").write_text("[{")

    page = run(IN_CHILDREN + "in_child(lambda: trace('m', 0.02, 0xb))\n" + PRINT, tmp_path)

    assert list(exemplars(page)) == [("m", "0.025")]


def test_a_worker_that_cannot_write_them_goes_on(tmp_path: Path) -> None:
    script = """
import shutil
shutil.rmtree(folder)
EXEMPLARS.note(("m", "1", "", "mlflow"), 0.1, 1)
EXEMPLARS.write()
print("went on")
"""

    assert run(IN_CHILDREN + script, tmp_path / "gone") == "went on"


def test_only_so_many_are_kept_and_the_oldest_go() -> None:
    kept = Exemplars(max_kept=2)

    for model in ("a", "b", "a", "c"):
        kept.note((model,), 0.1, 1)

    assert [one.series for one in kept.kept()] == [("a",), ("c",)]
