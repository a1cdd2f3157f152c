"""``stagedoor models serve``."""

import sys
from typing import Any

import click

from gateway.settings import Resolved
from gateway.supervisor import serve
from registry.references import parse_model_uri
from stagedoor.cli.refusal import refusals_shown
from stagedoor.cli.server_options import resolve, server_options
from tracking.errors import InvalidRequest
from tracking.settings import DEFAULT_TRACKING_URI, client_settings

_STORE = "storage.backend_store_uri"


@click.group("models")
def command() -> None:
    """Serve one model."""


_HELP = """\
Serve one model at /invocations, the way a scoring server does.

The registry is the database of --backend-store-uri; without that, the one that the client's
tracking URI names.

\b
Examples:
  stagedoor models serve -m models:/IrisRF/Production -p 5001
  stagedoor models serve -m models:/IrisRF@champion --backend-store-uri sqlite:///mlops.db
  curl localhost:5001/invocations -H 'Content-Type: application/json' \\
    -d '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
"""


@command.command("serve", params=server_options(), help=_HELP)
@click.option("--model-uri", "-m", required=True, help="The model, such as models:/IrisRF/2.")
def serve_model(model_uri: str, **given: Any) -> None:
    """Serve one model at /invocations, the way a scoring server does."""
    with refusals_shown():
        parse_model_uri(model_uri)
        code = serve(_resolve(given, model_uri).settings)
    sys.exit(code)


def _resolve(given: dict[str, Any], model_uri: str) -> Resolved:
    extra = {"server.default_model": model_uri}
    resolved = resolve(given, extra)
    uri = client_settings().tracking_uri
    if resolved.origins[_STORE] != "default" or uri == DEFAULT_TRACKING_URI:
        return resolved
    if uri.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"The tracking URI {uri!r} is a server, which serves its models itself: call it, or "
            "give --backend-store-uri with the database of a registry."
        )
    return resolve(given, {**extra, _STORE: uri})
