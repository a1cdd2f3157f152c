"""A model behind LitServe, in batches of up to 64. Run by ``loadtests.peers``."""

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np


class Api(litserve.LitAPI):
    """Answers rows."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        path = Path(os.environ["SPECIMEN"])
        self.model, self.columns = pickle.loads(path.read_bytes())  # noqa: S301 - our own file

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Read one request's rows."""
        return np.asarray(request["rows"])

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Keep requests apart, as they may have several rows."""
        return inputs

    def predict(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Answer all rows in one call."""
        answers = np.asarray(self.model.predict(_table(np.concatenate(inputs), self.columns)))
        ends = np.cumsum([len(rows) for rows in inputs])[:-1]
        return np.split(answers, ends)

    def unbatch(self, output: list[np.ndarray]) -> list[np.ndarray]:
        """Give each request its answer."""
        return output

    def encode_response(self, output: np.ndarray) -> list[Any]:
        """Write one request's answer."""
        return output.tolist()


def _table(rows: Any, columns: list[str]) -> Any:
    if not columns:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.0)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(sys.argv[2]), timeout=60
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
