"""A start is measured until its sign is there; one that fails is said."""

import pytest

from tests.benchmarks import start_speed


def test_a_process_runs_until_its_sign_is_there(tmp_path, monkeypatch):
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    monkeypatch.setattr(start_speed, "ESMM", ["python3", "-c", code])
    times = start_speed.until([str(tmp_path / "sign")], tmp_path / "sign")
    assert times.wall_s > 0
    assert times.cpu_s > 0


def test_a_process_that_ends_without_its_sign_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(start_speed, "ESMM", ["false"])
    with pytest.raises(RuntimeError, match="esmm train has not written .*sign"):
        start_speed.until(["train"], tmp_path / "sign")
