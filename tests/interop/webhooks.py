"""Run by the mlflow client's own Python: webhooks made, listed, tested, changed and deleted.

The receiver is in this process, and proves each delivery with mlflow's own code.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.webhooks import delivery

SECRET = "between the two of us"
DEADLINE_S = 30.0
calls: list[dict[str, Any]] = []


class Receiver(BaseHTTPRequestHandler):
    """Proves what it gets."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        identity, at = self.headers["X-MLflow-Delivery-Id"], self.headers["X-MLflow-Timestamp"]
        signed = delivery._generate_hmac_signature(SECRET, identity, at, body)  # noqa: SLF001
        is_ours = signed == self.headers["X-MLflow-Signature"]
        is_new = abs(time.time() - int(at)) < 300
        calls.append({"body": json.loads(body), "proved": is_ours and is_new, "id": identity})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"thanks")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def refused(call: Any) -> str:
    """Return the code with which a call was refused."""
    try:
        call()
    except MlflowException as error:
        return str(error.error_code)
    return "accepted"


def make_own(url: str) -> None:
    """Make a webhook for an event that this client does not know."""
    events = [{"entity": "MODEL_VERSION_STAGE", "action": "TRANSITIONED"}]
    asked = json.dumps({"name": "stages", "url": url, "events": events}).encode()
    address = mlflow.get_tracking_uri() + "/api/2.0/mlflow/webhooks"
    headers = {"Content-Type": "application/json"}
    urlopen(Request(address, asked, headers)).close()


def main(answers: Path) -> None:
    """Do what a user does, and write down what the client was told."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    client = MlflowClient()
    made = client.create_webhook(
        "hook",
        url,
        [WebhookEvent("registered_model", "created"), WebhookEvent("model_version_tag", "set")],
        description="d",
        secret=SECRET,
    )
    make_own(url)
    tested = client.test_webhook(made.webhook_id, "model_version_tag.set")
    client.create_registered_model("A", tags={"team": "x"}, description="a model")
    version = client.create_model_version("A", "s3://bucket/a", await_creation_for=0)
    client.set_model_version_tag("A", version.version, "k", "v")
    ends_at = time.monotonic() + DEADLINE_S
    while len(calls) < 3 and time.monotonic() < ends_at:
        time.sleep(0.01)
    updated = client.update_webhook(made.webhook_id, name="renamed", status="DISABLED")
    told = {
        "made": [made.name, made.url, made.description, str(made.status), made.secret],
        "events": [str(event) for event in client.get_webhook(made.webhook_id).events],
        "listed": [webhook.name for webhook in client.list_webhooks()],
        "tested": [tested.success, tested.response_status, tested.response_body],
        "updated": [updated.name, str(updated.status), len(updated.events)],
        "calls": calls,
        "inside": refused(lambda: client.create_webhook("x", "http://10.0.0.1/", made.events)),
        "named": refused(lambda: client.create_webhook("-", url, made.events)),
    }
    client.delete_webhook(made.webhook_id)
    told["deleted"] = refused(lambda: client.get_webhook(made.webhook_id))
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
