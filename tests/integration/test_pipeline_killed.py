"""A pipeline of three days that is killed (-9) again and again, on a disk and in a store: it ends as if it was not."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from esmm_dist.schema.presets_folder import preset_text
from esmm_dist.storage.folder import Folder
from launcher.pipeline.lease import LEASE_NAME
from launcher.pipeline.run import GATE_STATUS
from launcher.pipeline.state import STATE_NAME, StateFile
from tests.support.folder_content import folder_content
from tests.support.planted_days import DAYS, pipeline_text, write_day, write_planted

KUAIRAND = Path(__file__).parents[3] / "shared/data/kuairand"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class Pipeline:
    """Starts ``esmm pipeline`` as a user does, and kills it.

    Args:
        file: the pipeline file
        environment: variables on top of the inherited ones
    """

    def __init__(self, file: Path, last: str, environment: Mapping[str, str] | None = None) -> None:
        self._line = [sys.executable, "-P", "-m", "launcher", "pipeline", str(file), "--until", last]
        self._environment = {**os.environ, "PYTHONPATH": os.getcwd(), **(environment or {})}

    def run(self) -> tuple[int, str]:
        """Run it to its end; return its exit status and its report."""
        done = subprocess.run(self._line, env=self._environment, capture_output=True, text=True, timeout=600)
        return done.returncode, done.stdout

    def run_killed(self, after_s: float) -> int | None:
        """Run it, and kill it after so many seconds; return its exit status if it ended before, else None."""
        process = subprocess.Popen(
            self._line, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None


def left(work: Folder, publish: Folder) -> dict[str, bytes]:
    """Return all that a pipeline leaves for others: what is published, its state, its pins."""
    pins = {name: b"" for name in (work / "run" / "checkpoints").names() if name.endswith(".pin")}
    assert LEASE_NAME not in work.names()
    return {**folder_content(publish), **pins, "state": work.read_bytes(STATE_NAME)}


def ends_the_same(pipeline: Pipeline, work: Folder, publish: Folder, *, status: int, seed: int) -> None:
    """Compare an undisturbed pipeline with one that is killed at random moments, in the same folders."""
    started = time.monotonic()
    assert pipeline.run()[0] == status
    seconds = time.monotonic() - started
    expected = left(work, publish)
    for folder in (work, publish):
        folder.delete()
    draw, kills = random.Random(seed), 0
    for _ in range(40):
        ended = pipeline.run_killed(draw.uniform(0.03, 0.3) * seconds)
        if ended is not None:
            assert ended == status
            break
        kills += 1
    else:
        assert pipeline.run()[0] == status
    assert kills >= 3
    assert left(work, publish) == expected


def test_three_planted_days_on_a_disk_of_which_the_last_is_worse(tmp_path: Path):
    file = write_planted(tmp_path, 2)
    write_day(tmp_path / "raw", DAYS[2], shuffled=True)
    work, publish = Folder.open(tmp_path / "work"), Folder.open(tmp_path / "models")
    ends_the_same(Pipeline(file, str(DAYS[2])), work, publish, status=GATE_STATUS, seed=1)
    state = StateFile(work).read()
    assert [each.day for each in state.versions] == [str(day) for day in DAYS[:2]]


def test_three_planted_days_in_a_store(s3, tmp_path: Path):
    places = {"work": s3.uri("bucket/killed/work"), "publish": s3.uri("bucket/killed/models")}
    file = write_planted(tmp_path, 3, **places)
    work, publish = (Folder.open(places[name]) for name in ("work", "publish"))
    scratch = {"ESMM_SCRATCH": str(tmp_path / "scratch")}
    ends_the_same(Pipeline(file, str(DAYS[2]), scratch), work, publish, status=0, seed=2)
    assert [each.day for each in StateFile(work).read().versions] == [str(day) for day in DAYS[:3]]


def test_several_processes_train_the_same_model(tmp_path: Path):
    """Two workers and a server give what one process gives: their published models are the same."""
    models = []
    for name, processes in (("one", {}), ("several", {"workers": 2, "servers": 1})):
        folder = tmp_path / name
        folder.mkdir()
        file = write_planted(folder, 2)
        settings = yaml.safe_load(pipeline_text(folder))
        settings["train"] |= processes
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        assert Pipeline(file, str(DAYS[1])).run()[0] == 0
        state = StateFile(Folder.open(folder / "work")).read()
        models.append([(each.step, each.metrics["ctr"]["auc"]) for each in state.versions])
    assert [step for step, _ in models[0]] == [step for step, _ in models[1]]
    assert [auc for _, auc in models[0]] == pytest.approx([auc for _, auc in models[1]], abs=1e-4)


@pytest.mark.skipif(not KUAIRAND.is_dir(), reason=f"the KuaiRand logs are not at {KUAIRAND}")
def test_three_days_of_real_impressions(tmp_path: Path):
    """One log of several days, of which each data set takes its own."""
    schema = tmp_path / "schema.yaml"
    schema.write_text(preset_text("kuairand-flat").replace(", test: log_test.parquet", ""), encoding="utf-8")
    settings = {
        "raw": str(KUAIRAND),
        "work": f"{tmp_path}/work",
        "publish": f"{tmp_path}/models",
        "first_day": DAYS[0],
        "preprocess": {"schema": str(schema), "validation_share": 0.2},
        "gate": {"max_auc_drop": 0.02},
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    work, publish = Folder.open(tmp_path / "work"), Folder.open(tmp_path / "models")
    ends_the_same(Pipeline(file, str(DAYS[2])), work, publish, status=0, seed=3)
    state = StateFile(work).read()
    assert [each.version for each in state.versions] == [1, 2, 3]
    for of_day in state.days.values():
        # Logistic regression on one-hot ids reaches a CTR AUC of 0.72 on the days after these four
        assert of_day.steps["evaluate"].result["ctr"]["auc"] > 0.65
