"""Puts two versions of one model on a server: versions whose answers differ on every probe."""

from typing import Any

import stagedoor
from loadtests.plan import CANDIDATE, STABLE, Plan, Scenario
from stagedoor.demo.admin import Admin

MODEL = "Probe"
WEIGHT_BP = 2000


def prepare(url: str) -> dict[int, list[int]]:
    """Register both versions, in order; return each one's own answers to the probes.

    Raises:
        RuntimeError: They agree on a probe, so no answer to it would tell who gave it.
    """
    stagedoor.set_tracking_uri(url)
    rows, labels = _flowers()
    answers = {}
    for version, shift in ((STABLE, 0), (CANDIDATE, 1)):
        model = _fitted(rows, (labels + shift) % 3)
        _register(model, rows)
        answers[version] = [int(answer) for answer in model.predict(rows)]
    if any(old == new for old, new in zip(*answers.values(), strict=True)):
        raise RuntimeError("The two versions agree on a probe: they would not tell who answered.")
    return answers


def arrange(scenario: Scenario, admin: Admin, answers: dict[int, list[int]]) -> Plan:
    """Bring the versions where a scenario wants them, on every worker; return its plan."""
    admin.promote(MODEL, STABLE)
    weight_bp = 0
    if scenario is Scenario.CANARY:
        weight_bp = WEIGHT_BP
        admin.promote(MODEL, CANDIDATE, "Staging")
        admin.set_traffic(MODEL, weight_bp)
    rows = _flowers()[0].tolist()
    return Plan(scenario, MODEL, rows, answers, weight_bp=weight_bp)


def _flowers() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)  # type: ignore[no-any-return]


def _fitted(rows: Any, labels: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(rows, labels)


def _register(model: Any, rows: Any) -> None:
    with stagedoor.start_run():
        stagedoor.sklearn.log_model(
            model, "model", registered_model_name=MODEL, input_example=rows[:5]
        )
