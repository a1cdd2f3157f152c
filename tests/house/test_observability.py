"""The dashboard and the alerts in deploy/ ask for series that exist, and lead to answers."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from tests.house.tree import ROOT

DASHBOARD = json.loads((ROOT / "deploy/grafana/stagedoor.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
SCRAPE = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
SEVERITIES = {"critical", "warning", "info"}
PROMETHEUS_OWN = {"up": {"job", "instance"}}
"""What Prometheus adds to whatever it scrapes."""
NOT_SHOWN: set[str] = set()
"""Families without a panel; each new one gets a panel, or stands here with its reason."""
VARIABLES = {"$__rate_interval": "5m", "$__interval": "5m", "$model": ".+"}
"""Grafana's, and what stands for them here."""


def documented() -> dict[str, set[str]]:
    """Return the labels of each series, by the names under which Prometheus keeps them."""
    table = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    found = dict(PROMETHEUS_OWN)
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", table, re.MULTILINE):
        told = set(labels.split(", ")) if labels else set()
        if kind == "histogram":
            found |= {f"{name}_sum": told, f"{name}_count": told, f"{name}_bucket": told | {"le"}}
        else:
            found[name] = told
    return found


SERIES = documented()


def problems(query: str) -> list[str]:
    """Say what is wrong with a query: it does not parse, or asks for what there is not."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    try:
        tree = promql_parser.parse(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    selectors = list(selectors_in(tree))
    known = set().union(*(SERIES.get(name, set()) for name, _ in selectors))
    wrong = [f"no series {name!r}" for name, _ in selectors if name not in SERIES]
    for name, labels in selectors:
        wrong += [f"{name} has no {each!r}" for each in labels - SERIES.get(name, labels)]
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", str(tree))
    for group in grouped:
        asked = {label.strip() for label in group.split(",") if label.strip()}
        wrong += [f"nothing in {query!r} has {each!r}" for each in asked - known]
    return wrong


def selectors_in(node: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield each series that a query names, with the labels it is chosen by."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name or "", {matcher.name for matcher in node.matchers.matchers}
        return
    for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, part, None)
        if child is not None and not isinstance(child, str | float | int):
            yield from selectors_in(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors_in(child)


def headings() -> set[str]:
    """Return the anchors of the page for operators."""
    text = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        yield f"note {note['name']}", note["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_a_query_parses_and_asks_for_documented_series(where: str, query: str) -> None:
    assert problems(query) == [], where


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sum(", "unclosed"),
        ("stagedoor_nothing_total", "no series 'stagedoor_nothing_total'"),
        ("rate(stagedoor_requests_total{colour='red'}[5m])", "has no 'colour'"),
        ("sum by (stage) (stagedoor_requests_total)", "has 'stage'"),
        ("rate(stagedoor_request_duration_seconds[5m])", "no series"),
        ("max(stagedoor_route_epoch) - (1 * min(stagedoor_old))", "no series 'stagedoor_old'"),
        ("sum(rate(stagedoor_shed_total[$__rate_interval])) by (version)", "has 'version'"),
    ],
)
def test_a_query_that_is_wrong_would_be_seen(query: str, told: str) -> None:
    assert told in "; ".join(problems(query))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_waits_has_a_severity_and_leads_to_an_answer(rule: Any) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")

    assert promql_parser.parse_duration(rule["for"]).total_seconds() > 0
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"]
    assert (page, anchor in headings()) == ("docs/operating.md", True)


def test_labels_in_texts_of_alerts_are_kept_by_their_queries() -> None:
    for rule in RULES:
        told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = set(re.findall(r"by \(([^)]*)\)", rule["expr"]))
        names = {label.strip() for group in kept for label in group.split(",")}
        assert told <= names | PROMETHEUS_OWN["up"], rule["alert"]


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]

    assert len(names) == len(set(names))


def test_panels_have_ids_of_their_own_and_do_not_cover_each_other() -> None:
    panels = DASHBOARD["panels"]
    places: set[tuple[int, int]] = set()

    for panel in panels:
        at = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not places & mine, panel["title"]
        places |= mine

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert max(x for x, _ in places) < 24


def test_the_dashboard_takes_its_data_source_and_models_from_variables() -> None:
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel}

    assert (names, sources) == (["datasource", "model"], {"${datasource}"})


def test_prometheus_is_told_of_the_alerts_and_of_the_page() -> None:
    (job,) = SCRAPE["scrape_configs"]

    assert SCRAPE["rule_files"] == ["alerts.yml"]
    assert (job["job_name"], job["metrics_path"]) == ("stagedoor", "/metrics")


def test_every_family_is_on_the_dashboard() -> None:
    asked = " ".join(query for _, query in queries())
    families = {re.sub(r"_(sum|count|bucket)$", "", name) for name in SERIES}

    assert {name for name in families if name not in asked} == NOT_SHOWN
