"""Each preset from a raw log to its report, killed on the way and continued by the same command."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from launcher.preset.presets import PRESETS, plan

pytestmark = pytest.mark.timeout(400)  # half a minute a preset on an idle machine; other work beside it doubled that

ESMM = str(Path(sys.executable).with_name("esmm"))
SMALL = ["--checkpoint-every-steps", "1", "--keep-checkpoints", "100", "--max-steps", "40"]
"""A log of 20,000 impressions is a few steps of the larger batches."""


def esmm(*args: str | Path) -> dict:
    done = subprocess.run([ESMM, *args, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "raw"
    esmm("synth", folder, "--impressions", "20000", "--seed", "3")
    return folder


def killed_in_training(line: list[str], run: Path) -> None:
    """Start a line, and kill it (-9) once the run has a checkpoint."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        give_up = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < give_up:
            if run.is_dir() and max(checkpoint_steps(Folder.open(run)), default=0) >= 1:
                break
            time.sleep(0.005)
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow  # what each preset does is checked in tests/unit/launcher/preset
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_was_killed_ends_like_its_lines_typed_by_hand(name, raw, tmp_path):
    out = tmp_path / "out"
    command = ["preset", name, str(raw), str(out)]
    killed_in_training([ESMM, *command, "--", *SMALL], out / "run")
    assert list(json.loads((out / "preset.json").read_text())["done"]) == ["preprocess"]
    # --json stands before the --, as a user of the command would write it
    done = subprocess.run([ESMM, *command, "--json", "--", *SMALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    shown = [line.split("    # ")[0] for line in done.stderr.splitlines() if line.startswith("$ esmm ")]
    assert shown == [f"$ {step.line}" for step in plan(name, str(raw), out, SMALL)]
    assert done.stderr.count("  done already; remove") == 1
    assert "Resum" in done.stderr or "resum" in done.stderr

    by_hand = [esmm(*step.args) for step in plan(name, str(raw), tmp_path / "hand", SMALL)][-1]
    for task in ("ctr", "cvr", "ctcvr"):
        assert result["metrics"][task]["auc"] == by_hand[task]["auc"], task
        assert result["metrics"][task]["log_loss"] == by_hand[task]["log_loss"], task
    assert result["metrics"]["ctr"]["impressions"] > 4_900  # the test split, a quarter of the log
