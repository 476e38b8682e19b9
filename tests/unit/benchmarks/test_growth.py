"""The cost of an impression at several sizes."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks import growth


def test_the_start_does_not_count():
    # 3 CPU-seconds of start and 7 a million impressions
    assert growth.cpu_s_a_million(3 + 7 * 2.02, 2_020_000, 3 + 7 * 0.02) == pytest.approx(7)


def test_a_commands_cost_is_that_of_its_process_and_of_what_it_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "esmm"
    script.write_text(
        "import pathlib, sys, time\n"
        "held = bytearray(300_000_000)\n"
        "while time.process_time() < 0.5: pass\n"
        "pathlib.Path(sys.argv[2]).joinpath('file').write_bytes(b'0' * 1_000_000)\n"
        'print("words")\n'
        "print('{\"rows\": 5}')\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(growth, "ESMM", [sys.executable, str(script)])
    cost = growth.cost_of(["synth", str(out)], out)
    assert cost.cpu_s >= 0.5
    assert cost.memory_gb >= 0.3
    assert cost.disk_gb == 0.001
    assert (cost.command, cost.result) == ("synth", {"rows": 5})


def test_a_command_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growth, "ESMM", [sys.executable, "-c", "import sys; sys.exit(3)"])
    with pytest.raises(SystemExit, match="esmm synth raw ended with status 3"):
        growth.cost_of(["synth", "raw"], tmp_path)
