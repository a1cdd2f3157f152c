"""What the README tells a newcomer to do, done as it stands there."""

import re
import subprocess
import sys

from tests.house.tree import ROOT
from tests.journeys.server import Server

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the README's only Python block, or its calls of curl."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return "\n".join(text for text in found if language == "python" or text.startswith("curl"))


def test_the_quickstart_of_the_readme_works_as_written(server: Server) -> None:
    here = {
        "127.0.0.1:5000": f"127.0.0.1:{server.port}",
        "localhost:5000": f"localhost:{server.port}",
    }

    def ours(text: str) -> str:
        for address, moved in here.items():
            text = text.replace(address, moved)
        return text

    train = subprocess.run(
        [sys.executable, "-c", ours(block("python"))],
        cwd=server.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    told = subprocess.run(
        ["bash", "-euc", ours(block("sh")).replace("curl ", "curl -sS --fail-with-body ")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert train.returncode == 0, train.stderr
    assert told.returncode == 0, told.stdout + told.stderr
    assert '"state":"COMMITTED"' in told.stdout
    assert '{"predictions":[0]}' in told.stdout
    assert '"weight_bp":2000' in told.stdout
