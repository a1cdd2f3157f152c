import os
import sys
from pathlib import Path

import pytest

from loadtests.cpu import cpu_s

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_a_process_that_computes_uses_more_cpu() -> None:
    before_s = cpu_s(os.getpid())
    assert before_s is not None

    while (now_s := cpu_s(os.getpid())) is not None and now_s < before_s + 0.05:
        sum(range(100_000))

    assert now_s is not None


def test_a_process_that_is_gone_has_none() -> None:
    assert cpu_s(sys.maxsize) is None
