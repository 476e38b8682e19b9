"""Whole trainings that end early: the best checkpoint is kept and taken, however the run came to its end."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.listing import list_checkpoints
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from launcher.run_files.plain_run import read_progress
from tests.support.exports import no_examples
from tests.support.tiny_dataset import tiny_groups, write_dataset

EVERY, PATIENCE = 4, 3
A_PASS = 6  # 96 records, 16 a batch


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    splits = {"train": tiny_groups(96), "validation": tiny_groups(80, seed=3), "test": tiny_groups(24, seed=2)}
    write_dataset(folder, splits)
    return folder


def run_training(data: Path, run: Path, progress: NoProgress | None = None, **changes: Any) -> TrainResult:
    """Learn so fast that the log loss on other data soon grows."""
    evaluation = {
        "early_stopping": PATIENCE,
        "early_stopping_metric": "ctr.log_loss",
        "eval_every_steps": EVERY,
        "eval_max_impressions": 10,
        "baseline": False,
        **changes.pop("evaluation", {}),
    }
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 20},
        "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.5},
        "model": {"hidden_units": [8]},
        "dense": {"dense_learning_rate": 0.05},
        "cooldown": 0.0,
        "log_every_steps": 5,
        "evaluation": evaluation,
        "checkpoint": {"checkpoint_every_steps": 5, "keep_checkpoints": 1, **changes.pop("checkpoint", {})},
        **changes,
    }
    return train(build(TrainConfig, settings, where="test"), progress or NoProgress())


@pytest.fixture(scope="module")
def ended(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    run = tmp_path_factory.mktemp("ended") / "run"
    return run, run_training(data, run)


def losses(run: Path) -> dict[int, float]:
    found = json.loads((run / "metrics.json").read_text())["evaluations"]
    return {each["step"]: each["metrics"]["ctr"]["log_loss"] for each in found}


def test_training_ends_when_patience_runs_out_and_the_best_checkpoint_stays_beside_the_newest(ended):
    run, result = ended
    values = losses(run)
    best = min(values, key=lambda step: values[step])
    assert list(values) == [*range(EVERY, best + EVERY * PATIENCE + 1, EVERY)]
    assert 0 < best < result.step == best + EVERY * PATIENCE < result.total_steps == 20 * A_PASS
    assert (result.stopped_by, result.best.step) == (None, best)
    assert result.best.value == values[best]
    assert result.values_after_best == tuple(values[step] for step in values if step > best)
    assert checkpoint_steps(Folder.open(run)) == [result.step, best]
    stored = json.loads((run / "metrics.json").read_text())
    assert stored["best"] == {
        "step": best,
        "value": values[best],
        "metric": "ctr.log_loss",
        "split": "validation",
    }
    assert all(each["whole_split"] for each in stored["evaluations"])
    lines = result.lines()
    assert lines[1] == "Training ended early: 3 evaluations in a row were no better."
    later = ", ".join(f"{value:.4f}" for value in result.values_after_best)
    assert lines[2] == (
        f"Of its evaluations, step {best} is the best by ctr.log_loss on validation ({values[best]:.4f}); "
        f"after it {later}."
    )
    assert lines[3] == f"Its checkpoint is kept: esmm evaluate, predict and export --run {run} take it."


def test_evaluate_predict_and_export_take_the_best_checkpoint_and_say_so(data, ended, tmp_path):
    run, result = ended
    best, messages = result.best, Messages()
    evaluated = evaluate(EvaluateConfig(run=str(run), data=data, baseline=False, calibrate=False), messages)
    assert evaluated.tasks["ctr"].log_loss == pytest.approx(result.metrics["ctr"].log_loss, rel=1e-9)
    assert evaluated.tasks["ctr"].log_loss == pytest.approx(best.value, rel=1e-9)
    assert messages.texts[0] == f"Taking the checkpoint of the best evaluation: {best}."
    messages = Messages()
    written = predict(PredictConfig(run=str(run), data=data, out=tmp_path / "a.parquet"), messages)
    assert (written.step, messages.texts[0]) == (
        best.step,
        f"Taking the checkpoint of the best evaluation: {best}.",
    )
    predict(PredictConfig(run=f"{run}:{best.step}", data=data, out=tmp_path / "b.parquet"), NoProgress())
    assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))
    newest = predict(PredictConfig(run=str(run), step=result.step, data=data, out=tmp_path / "c.parquet"), messages)
    assert newest.step == result.step
    assert sum(text.startswith("Taking the checkpoint") for text in messages.texts) == 1
    with no_examples():
        assert export(ExportConfig(run=str(run), out=tmp_path / "model"), NoProgress()).step == best.step
    listed = {each.step: each.is_best for each in list_checkpoints(Folder.open(run))}
    assert listed == {best.step: True, result.step: False}


def test_a_run_that_has_ended_early_has_nothing_left_to_do_and_is_done_to_others(data, ended, tmp_path):
    shutil.copytree(ended[0], tmp_path / "run")
    result = run_training(data, tmp_path / "run")
    assert result.lines()[0].startswith(
        f"Nothing left to do: {tmp_path / 'run'} has ended early (step {ended[1].step} of 120; "
    )
    assert (result.impressions, result.best, result.metrics) == (0, ended[1].best, ended[1].metrics)
    progress = read_progress(Folder.open(tmp_path / "run"))
    assert (progress.done, progress.step, progress.total_steps) == (True, result.step, result.step)


def test_more_patience_goes_on_from_the_newest_checkpoint(data, ended, tmp_path):
    shutil.copytree(ended[0], tmp_path / "run")
    result = run_training(data, tmp_path / "run", evaluation={"early_stopping": PATIENCE + 2})
    assert result.step == ended[1].step + 2 * EVERY
    assert result.best == ended[1].best
    off = run_training(data, tmp_path / "run", evaluation={"early_stopping": 0}, max_steps=result.step + 1)
    assert (off.step, off.best) == (result.step + 1, None)


def contents(run: Path) -> dict[str, Any]:
    """Return all that a run holds of its checkpoints and losses, without the evaluations at the ends of pieces."""
    found: dict[str, Any] = {"log": (run / "train_log.jsonl").read_text()}
    for folder in (run / "checkpoints").iterdir():
        found |= {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.glob("*.arrow")}
        with np.load(folder / "dense.npz") as arrays:
            found |= {f"{folder.name}/{name}": arrays[name].tobytes() for name in arrays.files}
        manifest = json.loads((folder / "manifest.json").read_text())
        found[f"{folder.name}/calibration"] = manifest["calibration"]
        found[f"{folder.name}/metrics"] = manifest["metrics"]
    return found | {"losses": {step: value for step, value in losses(run).items() if step % EVERY == 0}}


@pytest.mark.parametrize(
    "pieces",
    [[2, 7, 11, 13], *(pytest.param(each, marks=pytest.mark.slow) for each in ([EVERY, 8, 12, 16], [9, 19]))],
    ids=str,
)
def test_a_run_in_pieces_ends_like_one_that_was_not_cut(data, ended, tmp_path, pieces):
    for max_steps in [*pieces, None]:
        result = run_training(data, tmp_path / "run", max_steps=max_steps)
    assert (result.step, result.best, result.metrics) == (ended[1].step, ended[1].best, ended[1].metrics)
    assert contents(tmp_path / "run") == contents(ended[0])


def test_a_run_that_lost_its_newest_checkpoints_ends_like_one_that_did_not(data, ended, tmp_path):
    """Also those of evaluations that it had made: the list of the checkpoint counts."""
    run_training(data, tmp_path / "run", checkpoint={"keep_checkpoints": 50})
    steps = checkpoint_steps(Folder.open(tmp_path / "run"))
    best = ended[1].best.step
    assert best in steps
    for lost in (ended[1].step, best):  # killed within the patience; before the best
        for step in [each for each in checkpoint_steps(Folder.open(tmp_path / "run")) if each >= lost]:
            shutil.rmtree(checkpoint_folder(Folder.open(tmp_path / "run"), step).local_path)
        result = run_training(data, tmp_path / "run")
        assert (result.step, result.best) == (ended[1].step, ended[1].best)
        assert contents(tmp_path / "run")["losses"] == contents(ended[0])["losses"]


def test_a_run_in_an_object_store_ends_the_same_and_its_best_is_taken(data, ended, s3):
    uri = s3.uri("bucket/early")
    for max_steps in (ended[1].best.step + 1, None):  # in two pieces: the second finds the best in the store
        settings = {**settings_of(ended[0]), "run": uri, "data": data, "max_steps": max_steps}
        result = train(build(TrainConfig, settings, where="test"), NoProgress())
    assert (result.step, result.best, result.metrics) == (ended[1].step, ended[1].best, ended[1].metrics)
    run = Folder.open(uri)
    assert not run.is_local
    assert checkpoint_steps(run) == [result.step, ended[1].best.step]
    found: list[Checkpoint] = []
    CheckpointChoice.parse(uri).restore(NoProgress(), found.append)
    assert found[-1].manifest.step == ended[1].best.step
    progress = read_progress(run)
    assert (progress.done, progress.total_steps) == (True, ended[1].step)


def settings_of(run: Path) -> dict[str, Any]:
    newest = checkpoint_steps(Folder.open(run))[0]
    return read_checkpoint_manifest(checkpoint_folder(Folder.open(run), newest)).settings


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_where_the_best_checkpoint_cannot_be_used_the_newest_is_and_it_is_said(ended, tmp_path, damage):
    shutil.copytree(ended[0], tmp_path / "run")
    folder = checkpoint_folder(Folder.open(tmp_path / "run"), ended[1].best.step).local_path
    if damage == "missing":
        shutil.rmtree(folder)
    else:
        (folder / "dense.npz").write_bytes(b"not what it was")
    messages, found = Messages(), list[Checkpoint]()
    taken = CheckpointChoice.parse(str(tmp_path / "run")).restore(messages, found.append)
    assert taken.manifest.step == ended[1].step
    assert [text.partition(":")[0] for text in messages.texts] == [
        "The best checkpoint cannot be used, so the newest is"
    ]


def test_a_training_that_gets_to_its_end_names_the_best_too(data, tmp_path):
    result = run_training(data, tmp_path / "run", evaluation={"early_stopping": 90}, input={
        "global_batch_records": 16, "epochs": 3})  # fmt: skip
    values = losses(tmp_path / "run")
    assert result.step == result.total_steps == 18
    assert list(values) == [4, 8, 12, 16, 18]
    assert result.best is not None
    assert result.best.value == min(values.values())
    assert result.metrics["ctr"].log_loss == result.best.value
    assert not any("ended early" in line for line in result.lines())


def test_without_early_stopping_the_newest_checkpoint_counts(data, tmp_path):
    result = run_training(data, tmp_path / "run", evaluation={"early_stopping": None}, max_steps=24)
    assert (result.step, result.best) == (24, None)
    assert "best" not in json.loads((tmp_path / "run/metrics.json").read_text())
    messages, found = Messages(), list[Checkpoint]()
    assert CheckpointChoice.parse(str(tmp_path / "run")).restore(messages, found.append).manifest.step == 24
    assert messages.texts == []


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"early_stopping": -1}, "early_stopping is -1. Set 0 or more"),
        (
            {"early_stopping_metric": "ctr.acu"},
            "early_stopping_metric is 'ctr.acu'. Give a task and a figure, such as ctcvr.auc. Did you mean 'auc'",
        ),
        ({"early_stopping_metric": "auc"}, r"'auc', but .* has no such task\. Did you mean 'ctcvr\.auc'"),
        ({"early_stopping_metric": "ctcv.auc"}, r"has no such task\. Did you mean 'ctcvr\.auc'"),
        ({"eval_split": "valid"}, r"early_stopping is 3, and .* has no split 'valid' to evaluate on\. Make the data"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_would_be_right(data, tmp_path, evaluation, message):
    with pytest.raises(ConfigError, match=message):
        run_training(data, tmp_path / "run", evaluation=evaluation)


@pytest.mark.parametrize(("records", "every"), [(16, 1), (4, 2)])
@pytest.mark.parametrize("given", [None, 0])
def test_a_period_that_is_open_is_a_tenth_of_a_pass(data, tmp_path, records, every, given):
    messages = Messages()
    run_training(
        data,
        tmp_path / "run",
        messages,
        evaluation={"eval_every_steps": given, "early_stopping_metric": None},
        input={"global_batch_records": records, "epochs": 20},
        max_steps=5,
    )
    a_pass = 96 // records
    assert f"Chosen: eval_every_steps {every} (early stopping needs evaluations; a pass has {a_pass} steps)" in (
        messages.texts
    )
    assert "Chosen: early_stopping_metric ctcvr.auc (on the whole of validation)" in messages.texts
    assert list(losses(tmp_path / "run")) == sorted({*range(every, 6, every), 5})


def test_a_signal_before_the_best_evaluation_costs_nothing_of_it(data, ended, tmp_path):
    """The checkpoint of the signal gets the metrics and the calibration of the evaluation that comes after it."""
    best = ended[1].best.step

    class StopsAtBest(Messages):
        def __init__(self) -> None:
            super().__init__()
            self.points = 0

        def advance(self, amount: float, note: str = "") -> None:
            self.points += bool(note)
            if note and self.points * EVERY == best:
                os.kill(os.getpid(), signal.SIGTERM)

    stopped = run_training(data, tmp_path / "run", StopsAtBest(), log_every_steps=EVERY)
    assert (stopped.step, stopped.stopped_by, stopped.best is not None) == (best, "SIGTERM", best > EVERY)
    result = run_training(data, tmp_path / "run", log_every_steps=EVERY)
    assert (result.step, result.best, result.metrics) == (ended[1].step, ended[1].best, ended[1].metrics)
    without_log = [{k: v for k, v in contents(run).items() if k != "log"} for run in (tmp_path / "run", ended[0])]
    assert without_log[0] == without_log[1]
