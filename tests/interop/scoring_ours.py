"""What our own decoding, models and encoding answer to a scoring request, without a server."""

from pathlib import Path
from typing import Any

from gateway.errors import status_of
from gateway.protocols import mlflow_scoring
from registry.loading import LoadedModel, load_folder
from tests.interop.scoring_bodies import MODELS, Case
from tests.interop.scoring_servers import told
from tracking.errors import StagedoorError

OK = 200


def load_models(folder: Path) -> dict[str, LoadedModel]:
    """Load what ``save_models`` has saved."""
    return {name: load_folder(folder / name) for name in MODELS}


def answer(model: LoadedModel, case: Case) -> list[Any]:
    """Return the status and predictions that a caller gets."""
    try:
        request = mlflow_scoring.decode(case.body.encode(), case.content_type, model.signature)
        prediction = model.predict_batch(request.batch, request.params)
        return told(OK, mlflow_scoring.encode(prediction, request))
    except StagedoorError as error:
        return [status_of(error.code), None]
