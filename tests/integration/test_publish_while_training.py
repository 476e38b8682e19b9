"""Real trainings that publish while they go on, and are killed meanwhile: each version is what a full export of its
checkpoint is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.export_assets import write
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.versions import chain_of, versions_in
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from tests.support.equal_served_models import assert_equal_served_models
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(900)

FLAGS = (
    *("--global-batch-records", 12, "--embedding-dim", 4, "--hidden-units", 8),
    *("--checkpoint-every-steps", 0, "--keep-checkpoints", 10000),
    *("--eval-every-steps", 0, "--calibrate", "none", "--no-baseline"),
    *("--ttl-steps", 4, "--evict-every-steps", 10, "--admit-after", 2),
)


@pytest.fixture(autouse=True)
def without_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave ``golden.json`` and what stands beside it out of exports to compare with: most of their seconds."""
    monkeypatch.setattr(write, "write_assets", lambda *_, **__: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publish") / "data"
    write_dataset(folder, {"train": tiny_groups(240), "test": tiny_groups(20, seed=2, first_sample=5000)})
    return folder


def start(*words: object) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("esmm")), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


def wait_until(process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 200
    while not is_so():
        if process.poll() is not None or time.monotonic() > give_up:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.02)


def exporting(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that publish for a training."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                if b"esmm_dist.inference.publish_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
            except FileNotFoundError:
                continue
    return found


def names(models: Folder) -> list[str]:
    return [each.name for each in versions_in(models)]


def check_versions(run: str, models: Folder, folder: Path) -> None:
    """Compare each version with a full export of its checkpoint: the model, and answers bit for bit."""
    local = models
    if not models.is_local:
        local = Folder.open(folder / "copied-models")
        for name in names(models):
            copy_tree(models / name, local / name, NoProgress())
    for each in versions_in(local):
        out = folder / f"full-{each.number}"
        export(ExportConfig(run=run, step=each.step, out=out, form="shards"), NoProgress())
        assert_equal_served_models([(local / name).local_path for name in chain_of(local, each.name)], out)


def test_the_end_of_a_training_and_of_its_next_day_are_published(data: Path, tmp_path: Path) -> None:
    """The whole way with real processes, in short; the rest of it is slow."""
    run, models = tmp_path / "run", tmp_path / "models"
    words = ("train", "--data", data, "--run", run, *FLAGS, "--epochs", 1, "--publish", models, "--json")
    result = result_of(start(*words))
    assert result["published"] == {
        "place": str(models),
        "versions": 1,
        "newest": "1",
        "newest_step": 20,
        "skipped": 0,
        "failures": 0,
        "last_error": None,
    }
    assert (models / "1" / "saved_model.pb").exists()
    write_dataset(tmp_path / "next", {"train": tiny_groups(120, seed=3, first_sample=9000)})
    next_day = ("--continue", "--data", tmp_path / "next", "--epochs", 1)
    assert result_of(start("train", "--run", run, *next_day, "--json"))["step"] == 30
    assert [(each.name, each.step) for each in versions_in(Folder.open(models))] == [("1", 20), ("2.delta", 30)]
    check_versions(str(run), Folder.open(models), tmp_path)


@pytest.mark.slow
def test_a_training_and_its_exports_are_killed_and_every_version_is_right(data: Path, tmp_path: Path) -> None:
    run, models = tmp_path / "run", Folder.open(tmp_path / "models")
    words: tuple[object, ...] = ("train", "--data", data, "--run", run)
    words = (*words, "--publish", models, "--publish-every-steps", 10)
    words = (*words, "--publish-keep", 1000, "--publish-full-every", 4, *FLAGS, "--epochs", 10**6)
    training = start(*words)
    wait_until(training, lambda: names(models)[:2] == ["1", "2.delta"])
    reader = ServedScorer.open([models.local_path / "1"])  # which applies versions as they come

    # An export is killed: the training makes up for it
    wait_until(training, lambda: bool(exporting(training)))
    before = names(models)
    os.kill(exporting(training)[0], signal.SIGKILL)
    wait_until(training, lambda: len(names(models)) > len(before))

    # The training is killed while it publishes: what publishes ends with it
    wait_until(training, lambda: bool(exporting(training)))
    [export_process] = exporting(training)
    training.kill()
    training.communicate()
    give_up = time.monotonic() + 10
    while Path(f"/proc/{export_process}").exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not Path(f"/proc/{export_process}").exists()
    before = names(models)

    # It resumes, and is stopped, and is told to end
    training = start("train", "--run", run)
    wait_until(training, lambda: len(names(models)) >= len(before) + 2)
    training.send_signal(signal.SIGTERM)
    report, _ = training.communicate(timeout=100)
    assert "All is saved." in report
    newest = max(checkpoint_steps(Folder.open(run)))
    result = result_of(start("train", "--run", run, "--max-steps", newest + 3, "--json"))
    assert result["published"]["newest_step"] == newest + 3  # type: ignore[index]

    found = names(models)
    assert [int(name.removesuffix(".delta")) for name in found] == list(range(1, len(found) + 1))
    assert len([name for name in found if not name.endswith(".delta")]) >= 2
    assert {name for name in models.names() if name.startswith(".")} <= {".publish.lock"}
    for name in found[1:]:
        folder = models.local_path / name
        reader = reader.with_delta(folder) if name.endswith(".delta") else ServedScorer.open([folder])
    check_versions(str(run), models, tmp_path)


@pytest.mark.slow
def test_ranks_with_servers_publish_to_a_store(data: Path, tmp_path: Path, s3: object) -> None:
    """Run and versions are in a store; all is killed once."""
    run, place = s3.uri("bucket/published-run"), s3.uri("bucket/published")  # type: ignore[attr-defined]
    models = Folder.open(place)
    words: tuple[object, ...] = ("local", "--workers", 2, "--servers", 1, "--", "train")
    words = (*words, "--data", data, "--run", run, *FLAGS)
    words = (*words, "--publish", place, "--publish-every-steps", 20, "--publish-keep", 1000)
    training = start(*words, "--epochs", 10**6)
    wait_until(training, lambda: len(names(models)) >= 2)
    training.kill()
    training.communicate()
    time.sleep(1)  # the processes of it end with it
    newest = max(checkpoint_steps(Folder.open(run)))
    training = start(*words, "--epochs", 10**6, "--max-steps", newest + 50)
    _, err = training.communicate(timeout=300)
    assert training.returncode == 0, err
    found = versions_in(models)
    assert found[-1].step == newest + 50
    assert [each.name for each in found[:2]] == ["1", "2.delta"]
    check_versions(run, models, tmp_path)
