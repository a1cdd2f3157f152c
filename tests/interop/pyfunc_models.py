"""Run by the real mlflow: saves models of one's own, and asks those that were saved by ours."""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

ROWS = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
NO_NEEDS: list[str] = []

SOURCE = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Plus(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] + 1


set_model(Plus())
"""


class Sloped(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # mlflow is not there for mypy
    def load_context(self, context: Any) -> None:
        self.slope = float(Path(context.artifacts["slope"]).read_text())

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context
        return model_input["a"] * self.slope * params["factor"]


class Loud(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # likewise
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


def total(model_input: Any) -> Any:
    return model_input.sum(axis=1)


def main(answers: Path) -> None:
    """Save, ask, and write down what was answered."""
    Path("slope.txt").write_text("2.5")
    Path("source.py").write_text(SOURCE)
    example = (ROWS, {"factor": 2.0})
    for name, model, said in (
        ("class", Sloped(), {"artifacts": {"slope": "slope.txt"}, "input_example": example}),
        ("function", total, {"input_example": ROWS}),
        ("source", "source.py", {"input_example": ROWS}),
        ("texts", Loud(), {}),
    ):
        mlflow.pyfunc.save_model(name, python_model=model, pip_requirements=NO_NEEDS, **said)
    asked = {name: mlflow.pyfunc.load_model(name).predict(ROWS) for name in ("ours", "function")}
    asked["class"] = mlflow.pyfunc.load_model("class").predict(ROWS, params={"factor": 3.0})
    told = {name: list(map(float, answer)) for name, answer in asked.items()}
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
