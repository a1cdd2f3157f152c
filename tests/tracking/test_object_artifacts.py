"""Object stores by URL; what they do is in the contract of artifact stores."""

import pytest

from tracking.artifacts import open_artifacts
from tracking.errors import InvalidRequest


@pytest.mark.parametrize("url", ["bogus://a/b", "mlflow-artifacts://a"])
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/prefix"):
        open_artifacts(url)
