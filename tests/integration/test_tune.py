"""``esmm tune`` with real trainings: what it prints is so, and no kill changes what it finds."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.killed_trainings import wait_for_checkpoint, wait_for_end
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ESMM = [sys.executable, "-P", "-m", "launcher"]
SEARCH = {
    "embedding.embedding_learning_rate": {"low": 0.01, "high": 1.0, "log": True},
    "model.hidden_units": {"choices": [[], [16], [32, 16]]},
}
SETTINGS = {
    "input": {"global_batch_records": 8, "epochs": 40},  # 1000 steps
    "model": {"dropout": 0.1},
    "checkpoint": {"checkpoint_every_steps": 100},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "data"
    sizes = {"train": 200, "validation": 200, "test": 200}
    write_dataset(folder, {name: tiny_groups(size, seed=i) for i, (name, size) in enumerate(sizes.items())})
    return folder


def search_file(folder: Path, data: Path, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"data": str(data), "study": str(folder / "study"), "settings": SETTINGS, "search": SEARCH, **changes}
    (folder / "search.yaml").write_text(yaml.safe_dump(content))
    return folder / "search.yaml"


def esmm(*words: str) -> str:
    done = subprocess.run([*ESMM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tune(file: Path):
    return json.loads(esmm("tune", str(file), "--json").splitlines()[-1])


def test_the_line_that_is_printed_gives_what_the_best_trial_gave(data, tmp_path):
    found = tune(search_file(tmp_path, data, trials=4, jobs=2))
    assert found["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    trained = json.loads(esmm(*shlex.split(found["train"])[1:], "--json").splitlines()[-1])
    assert trained["metrics"] == found["best"]["metrics"]["1"]
    assert trained["metrics"]["ctcvr"]["auc"] == found["best"]["value"]
    measured = json.loads(esmm(*shlex.split(found["evaluate"])[1:], "--json").splitlines()[-1])
    assert measured["ctcvr"]["auc"] != trained["metrics"]["ctcvr"]["auc"]  # the other split


def test_trials_are_pruned_by_the_evaluations_of_real_runs(data, tmp_path):
    found = tune(search_file(tmp_path, data, trials=5, pruner="halving", evaluations=10))
    pruned = [each for each in found["all"] if each["state"] == "pruned"]
    assert pruned
    log = (tmp_path / "study" / "trials" / f"{pruned[0]['trial']:04}" / "train.log").read_text()
    assert "Stopped by SIGTERM" in log


def test_a_study_that_is_killed_again_and_again_finds_what_an_undisturbed_one_finds(data, tmp_path):
    file = search_file(tmp_path / "killed", data, trials=3)
    for trial in (0, 1):
        process = subprocess.Popen([*ESMM, "tune", str(file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        run = tmp_path / f"killed/study/trials/{trial:04}/seed-1"
        wait_for_checkpoint(run, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for_end(run)  # the training went with it
    assert _without_times(tune(file)) == _without_times(tune(search_file(tmp_path / "quiet", data, trials=3)))


def _without_times(found):
    return [{name: value for name, value in each.items() if name != "seconds"} for each in found["all"]]
