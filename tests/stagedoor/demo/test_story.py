from pathlib import Path

import pytest

import stagedoor
from stagedoor.demo.server_process import ServerOptions, run_server
from stagedoor.demo.story import DemoOptions, Pace, main
from tracking.errors import Unavailable


def test_a_short_demo_keeps_its_claims_and_leaves_nothing_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = stagedoor.get_tracking_uri()

    code = main(DemoOptions(once=True, port=0, data_dir=tmp_path, pace=Pace(100, 1500, 100)))

    told = capsys.readouterr().out
    assert code == 0, told
    assert "0 failed" in told
    assert "Switched: every worker serves version 2" in told
    assert stagedoor.get_tracking_uri() == chosen


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    options = ServerOptions(tmp_path, settings={"server": 'no_such_setting = "x"'})

    with pytest.raises(Unavailable, match="no_such_setting"), run_server(options):
        pass
