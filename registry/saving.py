"""From an object in memory to a model folder. Called by the SDK, in the user's process."""

import uuid
import warnings
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from registry.flavors.flavor import Flavor, Question
from registry.flavors.table import PYTHON_FUNCTION
from registry.input_example import write_input_example
from registry.model_folder import ModelConfig, write_model_folder
from registry.observed import infer_signature
from registry.signature import Signature
from tracking.errors import InvalidRequest, ResourceExists


class Packing(Struct, frozen=True, kw_only=True):
    """What its author says about a model besides the model itself. Immutable.

    Args:
        created: When, UTC, ``2026-01-31 12:00:00.000000``.
        input_example: A few rows it takes, or none.
        signature: What it takes and gives; without one, worked out from the example.
        predict_method: The method that a call asks when it names none.
        run_id: The run that logs it, or none.
        artifact_path: The folder beneath that run's artifacts, or none.
        metadata: Anything else worth keeping; must be plain data.
    """

    created: str
    input_example: Any = None
    signature: Signature | None = None
    predict_method: str = "predict"
    run_id: str | None = None
    artifact_path: str | None = None
    metadata: dict[str, Any] | None = None


def save_folder(model: Any, folder: Path, flavor: Flavor, packing: Packing) -> ModelConfig:
    """Write a model folder; the MLmodel file comes last, so a folder that has it is whole.

    Raises:
        ResourceExists: The folder is there and not empty.
        InvalidRequest: The model cannot be saved, or the example does not fit it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ResourceExists(f"{folder.name!r} is not empty: save a model into a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    flavors = flavor.save(model, folder, packing.predict_method)
    has_example = packing.input_example is not None
    config = ModelConfig(
        flavors=flavors,
        signature=packing.signature or _observe(model, flavor, packing),
        saved_input_example_info=(
            write_input_example(folder, packing.input_example) if has_example else None
        ),
        model_uuid=uuid.uuid4().hex,
        utc_time_created=packing.created,
        run_id=packing.run_id,
        artifact_path=packing.artifact_path,
        metadata=packing.metadata,
    )
    write_model_folder(folder, config)
    return config


def _observe(model: Any, flavor: Flavor, packing: Packing) -> Signature | None:
    if packing.input_example is None:
        return None
    answer = flavor.predict(model, packing.input_example, Question(packing.predict_method))
    signature = infer_signature(packing.input_example)
    try:
        return replace(signature, outputs=infer_signature(outputs=answer).outputs)
    except InvalidRequest:
        if flavor.name != PYTHON_FUNCTION:
            raise
        # Such a model may answer with whatever JSON can hold, which no signature can tell.
        told = "The signature says nothing of the model's answer: it is not one for each row."
        warnings.warn(told, stacklevel=2)
        return signature
