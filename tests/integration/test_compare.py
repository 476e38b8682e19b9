"""``esmm compare`` with real trainings: what it writes is what ``esmm evaluate`` says, and no kill changes it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.killed_trainings import wait_for_checkpoint, wait_for_end
from tests.support.tiny_dataset import tiny_groups, write_dataset
from tests.unit.launcher.compare.comparisons import write_truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ESMM = [sys.executable, "-P", "-m", "launcher"]
SETTINGS = {
    "input": {"global_batch_records": 8, "epochs": 20},  # 500 steps
    "checkpoint": {"checkpoint_every_steps": 100},
}
DEFINE = {"linear": {"model": {"hidden_units": []}}, "deep": {"model": {"hidden_units": [32, 16], "dropout": 0.1}}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    groups = {name: tiny_groups(200, seed=i) for i, name in enumerate(("train", "validation", "test"))}
    write_dataset(folder / "data", groups)
    for split, name in (("train", "validation"), ("test", "test")):
        write_truth(folder / "raw", split, groups[name])
    return folder / "data"


def compare_line(folder: Path, data: Path, *flags: str, **changes) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    places = {"data": str(data), "out": str(folder / "out")}
    content = {**places, "models": ["linear", "deep"], "settings": SETTINGS, "define": DEFINE, **changes}
    (folder / "compare.yaml").write_text(yaml.safe_dump(content))
    return [*ESMM, "compare", str(folder / "compare.yaml"), "--json", *flags]


def compared(line: list[str], status: int = 0):
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_table_holds_what_esmm_evaluate_says(data, tmp_path):
    flags = ("--seeds", "2", "--jobs", "2", "--truth", str(data.parent / "raw"))
    found = compared(compare_line(tmp_path, data, *flags))
    assert [(model["name"], model["seeds"]) for model in found["models"]] == [("linear", [1, 2]), ("deep", [1, 2])]
    run = tmp_path / "out/models/deep/seed-2/run"
    line = [*ESMM, "evaluate", "--run", str(run), "--data", str(data), "--no-baseline", "--json"]
    measured = compared(line)
    values = found["models"][1]["runs"][1]["values"]
    for task in ("ctr", "cvr", "ctcvr"):
        assert values[f"{task}.auc"] == measured[task]["auc"]
    assert values["truth.cvr.impressions.reached"] == measured["cvr"]["impressions"]
    # every true pCVR is 0.6: no ranking is right or wrong
    assert values["truth.cvr.auc.all"] == pytest.approx(0.5)
    assert 0 < values["truth.cvr.divergence.all"] < 1
    for name in ("comparison.md", "comparison.json", "comparison.png"):
        assert (tmp_path / "out" / name).stat().st_size > 500


def test_a_comparison_that_is_killed_again_and_again_finds_what_an_undisturbed_one_finds(data, tmp_path):
    line = compare_line(tmp_path / "killed", data, "--seeds", "2", "--jobs", "1")
    for model in ("linear", "deep"):
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        run = tmp_path / f"killed/out/models/{model}/seed-1/run"
        wait_for_checkpoint(run, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for_end(run)  # the training went with it
    killed = compared(line)
    quiet = compared(compare_line(tmp_path / "quiet", data, "--seeds", "2", "--jobs", "1"))
    assert _without_costs(killed) == _without_costs(quiet)
    assert killed["models"][0]["runs"][0]["training"]["resumed"]


def test_a_training_that_fails_ends_the_command_badly_and_the_others_count(data, tmp_path):
    broken = {**DEFINE, "deep": {"dense": {"dense_learning_rate": 1e30}}}
    found = compared(compare_line(tmp_path, data, "--seeds", "1", define=broken), status=1)
    assert [model["name"] for model in found["models"]] == ["linear"]
    assert list(found["failed"]) == ["deep, seed 1"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--models", "linear,deeep"], "models has 'deeep', which is no model that esmm compare knows. Did you mean"),
        (["--seeds", "0"], "seeds is 0, so nothing is trained. Set 2 or more"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(data, tmp_path, flags, message):
    done = subprocess.run(compare_line(tmp_path, data, *flags), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def _without_costs(found):
    return [
        {
            "name": model["name"],
            "figures": model["figures"],
            "differences": model["differences"],
            "values": [run["values"] for run in model["runs"]],
        }
        for model in found["models"]
    ]
