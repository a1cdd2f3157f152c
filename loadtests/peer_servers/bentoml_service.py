"""A model behind BentoML, with its adaptive batching. Run by ``loadtests.peers``."""

import os
import pickle
from pathlib import Path
from typing import Any

import bentoml
import numpy as np


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 60})
class Service:
    """Answers rows."""

    def __init__(self) -> None:
        path = Path(os.environ["SPECIMEN"])
        self.model, self.columns = pickle.loads(path.read_bytes())  # noqa: S301 - our own file

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=1000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Answer rows, gathered from many requests."""
        return np.asarray(self.model.predict(_table(rows, self.columns)))


def _table(rows: Any, columns: list[str]) -> Any:
    if not columns:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
