from litestar import Litestar
from litestar.testing import TestClient

from gateway.api.metrics import HANDLERS
from gateway.metrics import RELOADS
from gateway.openmetrics import OPENMETRICS


def test_the_page_is_text_for_prometheus() -> None:
    RELOADS.labels("larch").inc()
    with TestClient(Litestar(HANDLERS, logging_config=None)) as client:
        answer = client.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'stagedoor_reloads_total{model="larch"} 1.0' in answer.text


def test_the_page_is_openmetrics_to_who_asks_for_it() -> None:
    with TestClient(Litestar(HANDLERS, logging_config=None)) as client:
        answer = client.get("/metrics", headers={"accept": "application/openmetrics-text"})

    assert answer.headers["content-type"] == OPENMETRICS
    assert answer.text.endswith("# EOF\n")
