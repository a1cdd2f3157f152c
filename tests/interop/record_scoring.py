"""Ask a real ``mlflow models serve`` and a real server of ours for all of ``scoring_bodies``.

Called by ``make interop-scoring``. What MLflow answers is written down and kept: ``make test``
compares our code with it, without any server.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.interop.scoring_bodies import MODELS, Case, cases
from tests.interop.scoring_ours import OK, answer, load_models
from tests.interop.scoring_servers import ask, save_models, serving
from tests.journeys.models import register
from tests.journeys.server import Server, running

RECORD = Path(__file__).with_name("scoring_answers.json")


def main() -> int:
    """Ask for all of it; fail if MLflow's answers have changed, or ours differ over HTTP."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_models(folder)
        with serving(folder) as ports:
            answers = [ask(ports[case.model], "/invocations", case) for case in cases()]
        odd = sorted({case.tag for case in _answered_otherwise(folder)})
    print(f"{len(answers)} requests to each; ours answers otherwise over HTTP: {odd or 'none'}")  # noqa: T201
    text = "[\n" + ",\n".join(map(json.dumps, answers)) + "\n]\n"
    before = RECORD.read_text(encoding="utf-8") if RECORD.exists() else ""
    RECORD.write_text(text, encoding="utf-8")
    return int(text != before or bool(odd))


def _answered_otherwise(folder: Path) -> list[Case]:
    """Return the requests that a server of ours answers otherwise than its code does."""
    models = load_models(folder)
    with running(Server(folder / "server")) as server:
        for name, (model, signature, example) in MODELS.items():
            register(server, name, model, signature=signature, input_example=example)
            assert server.promote(name, 1).status == OK
        return [
            case
            for case in cases()
            if ask(server.port, f"/models/{case.model}/invocations", case)
            != answer(models[case.model], case)
        ]


if __name__ == "__main__":
    sys.exit(main())
