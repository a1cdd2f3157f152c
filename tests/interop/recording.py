"""What MLflow's own server answered, kept in a file, so that most runs need not start it."""

import json
from pathlib import Path
from typing import Any

from tests.interop.comparing import Answers, normalized

PATH = Path(__file__).with_name("mlflow_answers.json")


def load() -> dict[str, Any]:
    """Return the answers that were kept."""
    kept: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return kept


def save(answers: Answers) -> None:
    """Keep answers, one call a line."""
    lines = (
        f"{json.dumps(call, ensure_ascii=False)}: {json.dumps(told, ensure_ascii=False)}"
        for call, told in normalized(answers).items()
    )
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
