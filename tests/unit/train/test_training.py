"""Whole trainings of a tiny data set, in this process."""

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.config import build
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.errors import ConfigError, InputDataError, NumericalError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.model.dense_state import dense_state
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.fields import Field
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.numerical_check import agreed_error
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import refuse_rows_apart, train
from esmm_dist.train.run_history import read_history
from esmm_dist.train.run_settings import read_settings
from esmm_dist.train.run_speed import read_speed
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.train.trainer import Trainer
from tests.support.tiny_dataset import Group, Impression, tiny_groups, tiny_schema, write_dataset

STEPS = 20
"""In an epoch: 320 records, 16 a batch."""

SETTINGS = {
    "input": {"global_batch_records": 16},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
    "model": {"hidden_units": [8]},
    "dense": {"dense_learning_rate": 0.01},
    "log_every_steps": 5,
    "cooldown": 0.0,
}


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.notes: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)

    def advance(self, amount: float, note: str = "") -> None:
        if note:
            self.notes.append(note)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(320), "test": tiny_groups(100, seed=2, first_sample=5000)})
    return folder


def config_of(data: Path, run: Path, **changes) -> TrainConfig:
    groups = {**SETTINGS, "data": data, "run": str(run)}
    for name, value in changes.items():
        old = groups.get(name)
        groups[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return build(TrainConfig, groups, where="test")


def run_training(data: Path, run: Path, **changes) -> TrainResult:
    return train(config_of(data, run, **changes), Messages())


def log_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]


def state_of(run: Path, step: int) -> dict[str, bytes]:
    """Return all that a checkpoint holds of rows and weights, as bytes."""
    folder = run / f"checkpoints/step-{step:08d}"
    state = {path.name: path.read_bytes() for path in folder.glob("*.arrow")}
    with np.load(folder / "dense.npz") as arrays:
        state.update({name: arrays[name].tobytes() for name in arrays.files})
    return state


def scalars_of(run: Path) -> dict[str, list[int]]:
    """Return the steps of each scalar in the TensorBoard files."""
    found: dict[str, list[int]] = {}
    for path in sorted((run / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """Three epochs, evaluated every 25 steps."""
    run = tmp_path_factory.mktemp("runs") / "run"
    progress = Messages()
    settings = config_of(
        data, run, input={"epochs": 3}, evaluation={"eval_every_steps": 25}, checkpoint={"checkpoint_every_steps": 30}
    )
    return run, train(settings, progress), progress


def test_the_labels_of_the_tiny_data_are_learned(trained):
    _, result, _ = trained
    # An item's parity decides clicks (0.8 against 0.2); the best ranking of half clicks and half others reaches
    # P(clicked one is even) P(other is odd) + half the ties = 0.8² + 0.8 · 0.2 = 0.8
    assert result.metrics["ctr"].auc > 0.7
    assert result.metrics["ctcvr"].auc > 0.7


def test_the_result_counts_steps_impressions_and_rows(trained, data):
    _, result, _ = trained
    manifest = json.loads((data / "manifest.json").read_text())
    assert (result.step, result.total_steps, result.stopped_by) == (3 * STEPS, 3 * STEPS, None)
    assert result.impressions == 3 * manifest["splits"]["train"]["impressions"]
    used = used_ids()
    assert result.rows == len(used)
    assert result.impressions_per_second == pytest.approx(result.impressions / result.seconds)
    assert f"up to step 60 of 60; {len(used)} embedding rows" in result.lines()[0]


def used_ids() -> set[int]:
    return {
        id_
        for group in tiny_groups(320)
        for values in (*group.fields, *(v for i in group.impressions for v in i.fields))
        for id_, _ in values
    }


def test_losses_are_logged_as_means_over_windows_and_fall(trained):
    run, _, progress = trained
    log = log_of(run)
    assert [entry["step"] for entry in log] == list(range(5, 61, 5))
    assert log[-1]["ctr_loss"] < log[0]["ctr_loss"]
    assert log[-1]["ctcvr_loss"] < log[0]["ctcvr_loss"]
    assert 0.4 < log[0]["ctr_loss"] < 0.9  # near ln 2 = 0.69, as half the impressions are clicked
    assert progress.notes[0] == f"ctr_loss {log[0]['ctr_loss']:.4f} ctcvr_loss {log[0]['ctcvr_loss']:.4f}"


def test_the_run_is_evaluated_every_k_steps_and_at_its_end(trained):
    run, result, progress = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert [e["step"] for e in metrics["evaluations"]] == [25, 50, 60]
    assert [e["whole_split"] for e in metrics["evaluations"]] == [True, True, True]  # the split is small
    assert metrics["newest"] == metrics["evaluations"][-1]
    assert metrics["newest"]["metrics"]["ctr"]["auc"] == result.metrics["ctr"].auc
    assert sum(text.startswith("Step 25: AUC on test: ctr 0.") for text in progress.texts) == 1


def test_checkpoints_come_every_k_steps_and_at_the_end_with_the_newest_metrics(trained):
    run, result, _ = trained
    folder = Folder.open(run)
    assert checkpoint_steps(folder) == [60, 30]
    manifests = [read_checkpoint_manifest(checkpoint_folder(folder, step)) for step in (60, 30)]
    assert manifests[0].metrics["ctr"]["auc"] == result.metrics["ctr"].auc
    evaluations = json.loads((run / "metrics.json").read_text())["evaluations"]
    assert manifests[1].metrics == evaluations[0]["metrics"]


def test_tensorboard_has_losses_and_metrics(trained):
    scalars = scalars_of(trained[0])
    assert scalars["train/ctr_loss"] == scalars["train/ctcvr_loss"] == list(range(5, 61, 5))
    for name in ("ctr", "cvr", "ctcvr"):
        for figure in ("auc", "log_loss", "calibration"):
            assert scalars[f"test/{name}_{figure}"] == [25, 50, 60]


def test_the_speed_of_all_steps_is_logged_and_its_parts_are_of_what_they_took(trained):
    run, result, _ = trained
    points = read_speed(Folder.open(run))
    assert [point.step for point in points] == list(range(5, 61, 5))
    assert sum(point.impressions for point in points) == result.impressions
    for point in points:
        assert (point.steps, point.ranks) == (5, 1)
        parts = (point.input_s, point.pull_s, point.step_s, point.push_s)
        assert min(parts) > 0
        assert sum(parts) <= point.seconds + 1e-5  # each is rounded to the microsecond
    assert points[-1].tables["main"].rows == result.rows
    assert sum(point.seconds for point in points) <= result.seconds + 1e-3
    assert sum(point.seconds for point in points) > 0.5 * result.seconds


def test_the_history_has_the_start_what_was_done_and_the_end(trained, data):
    events = read_history(Folder.open(trained[0]))
    assert [(event.event, event.step) for event in events] == [
        ("start", 0),
        ("evaluation", 25),
        ("checkpoint", 30),
        ("evaluation", 50),
        ("checkpoint", 60),
        ("evaluation", 60),
        ("done", 60),
    ]
    assert events[0].details == {"ranks": 1, "servers": 0, "data": str(data)}
    assert events[1].details["split"] == "test"
    assert events[1].details["whole_split"] is True
    assert all(event.details["seconds"] > 0 for event in events[1:6])
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_a_finished_run_started_again_does_nothing_and_says_so(trained):
    run, result, _ = trained
    before = state_of(run, 60) | {name: (run / name).read_bytes() for name in ("speed.jsonl", "history.jsonl")}
    again = train(build(TrainConfig, _stored(run), where="test"), Messages())
    assert again.lines()[0] == f"Nothing left to do: {run} is complete (step 60 of 60; {result.rows} embedding rows)."
    assert again.metrics == result.metrics
    assert state_of(run, 60) | {name: (run / name).read_bytes() for name in ("speed.jsonl", "history.jsonl")} == before


def _stored(run: Path) -> dict:
    mapping = yaml.safe_load((run / "config.yaml").read_text())
    assert isinstance(mapping, dict)
    return mapping


def rates_of_the_last_step(data: Path, run: Path, **course: Any) -> list[float]:
    """Return the factor of the rows' learning rate, and the towers' learning rate, at step 20 of 20."""
    changes: dict[str, Any] = {**course, "dense": {"dense_optimizer": "sgd"}, "input": {"epochs": 1}}
    run_training(data, run, max_steps=STEPS - 1, **changes)
    trainer = Trainer(config_of(data, run, **changes), NoProgress())
    factors: list[float] = []
    push = trainer.store.push

    def recording_push(*args: Any, rate_factor: float, **keywords: Any) -> None:
        factors.append(rate_factor)
        push(*args, rate_factor=rate_factor, **keywords)

    trainer.store.push = recording_push  # type: ignore[method-assign, assignment]
    trainer.train_steps(1)
    return [*factors, float(trainer._state.compiled.optimizer.learning_rate.numpy())]


def test_both_learning_rates_fall_during_the_cooldown(data, tmp_path):
    assert rates_of_the_last_step(data, tmp_path / "constant", cooldown=0.0) == pytest.approx([1.0, 0.01])
    assert rates_of_the_last_step(data, tmp_path / "falling", cooldown=1.0) == pytest.approx([1 / 20, 0.01 / 20])


def test_both_learning_rates_follow_the_schedule_after_the_warmup(data, tmp_path):
    found = rates_of_the_last_step(data, tmp_path, schedule="inverse_sqrt", warmup_steps=5)
    assert found == pytest.approx([0.5, 0.01 * 0.5])  # sqrt(5 / 20)


def test_a_run_grown_by_steps_and_epochs_equals_one_made_at_once(data, trained, tmp_path):
    # up to step 13 (within the first epoch), 40 (the end of the second, which was thought to be the last), 60
    for changes in ({"max_steps": 13}, {"input": {"epochs": 2}}, {"input": {"epochs": 3}}):
        result = run_training(data, tmp_path, **changes)
    assert result.step == 60
    assert state_of(tmp_path, 60) == state_of(trained[0], 60)
    assert log_of(tmp_path) == log_of(trained[0])
    points = read_speed(Folder.open(tmp_path))
    assert [(point.step, point.steps) for point in points][:5] == [(5, 5), (10, 5), (13, 3), (15, 2), (20, 5)]
    assert sum(point.impressions for point in points) == trained[1].impressions
    told = [(event.event, event.step) for event in read_history(Folder.open(tmp_path))]
    assert [each for each in told if each[0] not in ("checkpoint", "evaluation")] == [
        *(("start", 0), ("done", 13), ("resume", 13), ("done", 40), ("resume", 40), ("done", 60))
    ]


def test_a_signal_stops_after_the_step_saves_and_tells_how_to_resume(data, trained, tmp_path):
    class StopsAtStep15(Messages):
        def advance(self, amount: float, note: str = "") -> None:
            super().advance(amount, note)
            if len(self.notes) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    changes = {"input": {"epochs": 3}, "evaluation": {"eval_every_steps": 5}}
    result = train(config_of(data, tmp_path, **changes), StopsAtStep15())
    assert (result.step, result.stopped_by, result.metrics) == (15, "SIGTERM", {})
    assert result.lines() == [
        f"Stopped by SIGTERM at step 15 of 60; {result.rows} embedding rows. All is saved.",
        f"Resume with: esmm train --run {tmp_path}",
    ]
    (stop,) = (event for event in read_history(Folder.open(tmp_path)) if event.event == "stop")
    assert (stop.step, stop.details) == (15, {"signal": "SIGTERM"})
    assert run_training(data, tmp_path, **changes).step == 60
    assert state_of(tmp_path, 60) == state_of(trained[0], 60)
    # the evaluation of step 15, which the signal prevented, is not lost
    evaluations = json.loads((tmp_path / "metrics.json").read_text())["evaluations"]
    assert [e["step"] for e in evaluations] == list(range(5, 61, 5))


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_other_dense_optimizers_learn_too(data, tmp_path, name):
    result = run_training(
        data, tmp_path, dense={"dense_optimizer": name, "dense_learning_rate": 0.1}, input={"epochs": 2}
    )
    assert result.metrics["ctr"].auc > 0.65


def test_mixed_precision_learns_as_well_and_keeps_weights_in_float32(data, trained, tmp_path):
    result = run_training(data, tmp_path, hardware={"mixed_precision": True}, input={"epochs": 3})
    assert result.metrics["ctr"].auc == pytest.approx(trained[1].metrics["ctr"].auc, abs=0.01)
    exact, rough = log_of(trained[0])[-1], log_of(tmp_path)[-1]
    assert rough["ctr_loss"] == pytest.approx(exact["ctr_loss"], rel=0.01)
    assert rough["ctr_loss"] != exact["ctr_loss"]
    with np.load(tmp_path / "checkpoints/step-00000060/dense.npz") as arrays:
        assert {arrays[name].dtype for name in arrays.files if name.startswith("model/")} == {np.dtype(np.float32)}
    # and what scores later multiplies alike
    metrics = evaluate(EvaluateConfig(run=str(tmp_path), data=data), NoProgress()).tasks
    assert metrics == result.metrics


def test_xla_is_asked_for_when_the_setting_says_so(data, tmp_path):
    assert tf.config.optimizer.get_jit() == ""
    try:
        run_training(data, tmp_path, hardware={"xla": True}, max_steps=3)
        assert tf.config.optimizer.get_jit() == "autoclustering"
    finally:
        tf.config.optimizer.set_jit(False)


def test_evaluation_stops_after_the_batch_that_reaches_the_limit(data, tmp_path):
    evaluation = {"eval_every_steps": 10, "eval_max_impressions": 1}
    run_training(data, tmp_path, evaluation=evaluation, input={"epochs": 1})
    first, last = json.loads((tmp_path / "metrics.json").read_text())["evaluations"]
    test_groups = tiny_groups(100, seed=2, first_sample=5000)
    lanes = [test_groups[lane::4] for lane in range(4)]
    one_batch = sum(len(group.impressions) for lane in lanes for group in lane[:4])
    assert first["metrics"]["ctr"]["impressions"] == one_batch
    assert last["metrics"]["ctr"]["impressions"] == sum(len(group.impressions) for group in test_groups)


def test_data_without_the_split_is_trained_without_evaluation_and_says_so(data, tmp_path):
    progress = Messages()
    result = train(config_of(data, tmp_path, evaluation={"eval_split": "valid"}), progress)
    assert result.metrics == {}
    assert f"Not evaluated: {data} has no split 'valid'." in progress.texts


def test_a_changed_setting_is_refused_on_resuming_and_nothing_is_touched(data, trained):
    run = trained[0]
    before = (run / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"embedding_dim is 8 but 4 in .*step-00000060, from which this run would"):
        run_training(data, run, embedding={"embedding_dim": 8})
    assert (run / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # The run is at step 60 = 3 epochs of 20 steps
        ({"max_steps": 4}, r"max_steps is 4, but .*step-00000060.* has 60 steps\. Set max_steps to 60 or more, or"),
        ({"input": {"epochs": 1}}, r"epochs is 1, which is 20 steps, but .* has 60 steps\. Set epochs to 3 or more"),
        (
            {"max_steps": 59, "input": {"epochs": 2}},
            "max_steps is 59 and epochs is 2, which is 40 steps, but .* Set max_steps to 60 or more and epochs to 3",
        ),
    ],
)
def test_fewer_steps_than_are_done_are_refused_on_resuming_and_the_run_goes_on_as_before(
    data, trained, changes, message
):
    run = trained[0]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(ConfigError, match=message):
        run_training(data, run, **{"input": {"epochs": 3}, **changes})
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"} == before
    again = run_training(data, run, max_steps=60, input={"epochs": 3})  # the remedy
    assert (again.step, again.stopped_by) == (60, None)


def test_a_warmup_that_takes_the_whole_run_is_refused(data, tmp_path):
    with pytest.raises(
        ConfigError, match="warmup_steps is 20, but all epochs have 20 steps: .* Set warmup_steps to 2 "
    ):
        run_training(data, tmp_path, warmup_steps=STEPS, input={"epochs": 1})
    assert run_training(data, tmp_path, warmup_steps=STEPS - 1, input={"epochs": 1}).step == STEPS


def test_settings_that_fail_in_the_first_step_are_not_those_of_the_run(data, tmp_path):
    """Whatever fails before a step is made: here the step itself."""

    class NoStep(Trainer):
        def train_one(self) -> None:
            def fail(*args: Any) -> None:
                raise NumericalError("the step fails")

            self._state.compiled.__dict__["step"] = fail
            with self:
                self.train()

    run_training(data, tmp_path, max_steps=4, input={"epochs": 1})
    before = (tmp_path / "config.yaml").read_text()
    changed: dict[str, Any] = {"hardware": {"mixed_precision": True}, "input": {"epochs": 1}}
    with pytest.raises(NumericalError, match="the step fails"):
        NoStep(config_of(data, tmp_path, **changed), NoProgress()).train_one()
    assert (tmp_path / "config.yaml").read_text() == before
    resume, failed = read_history(Folder.open(tmp_path))[-2:]
    assert (resume.event, resume.step) == ("resume", 4)
    assert (failed.event, failed.step, failed.details) == ("failed", 4, {"error": "the step fails"})
    trainer = Trainer(config_of(data, tmp_path, **changed), NoProgress())
    trainer.train_steps(1)
    assert _stored(tmp_path)["hardware"]["mixed_precision"] is True


def test_a_run_that_stops_before_its_first_step_has_its_settings(data, tmp_path):
    with StopSignal() as stop, Trainer(config_of(data, tmp_path), NoProgress()) as trainer:
        stop.name = "SIGTERM"
        result = trainer.train(stop)
    assert (result.step, result.stopped_by) == (0, "SIGTERM")
    assert _stored(tmp_path)["data"] == str(data)


@pytest.mark.parametrize("relative", [False, True])
def test_data_that_has_moved_is_missed_by_its_place_and_the_run_goes_on_with_the_new_one(
    data, tmp_path, monkeypatch, relative
):
    old, new, run = tmp_path / "old", tmp_path / "new", tmp_path / "run"
    shutil.copytree(data, old)
    monkeypatch.chdir(tmp_path)
    config = {"input": {"epochs": 1}, "max_steps": 4}
    run_training(Path("old") if relative else old, run, **config)
    old.rename(new)
    message = (
        f"{old} holds no data set, and {run} would resume with the one that it was trained on. If that has moved, say "
        f"where it is: esmm train --run {run} --data NEWPLACE"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(build(TrainConfig, _stored(run), where="test"), NoProgress())
    assert (
        train(build(TrainConfig, {**_stored(run), "data": new, "max_steps": 6}, where="test"), NoProgress()).step == 6
    )


def test_other_data_is_refused_on_resuming(trained, tmp_path):
    write_dataset(tmp_path / "other", {"train": tiny_groups(320, seed=9)})
    with pytest.raises(ConfigError, match=r"other is not the data set that .* was trained on last, .*--continue"):
        run_training(tmp_path / "other", trained[0], input={"epochs": 3})


def test_a_run_whose_settings_are_damaged_goes_on_when_they_are_given_again(data, tmp_path):
    """As the message says: the file is removed; rows, weights and their settings are in the checkpoints."""
    run_training(data, tmp_path / "run", max_steps=2)
    (tmp_path / "run/config.yaml").write_text("{")
    with pytest.raises(
        ConfigError, match="Remove that file, and give the run's settings again: esmm train --run .*run --"
    ):
        read_settings(tmp_path / "run")
    (tmp_path / "run/config.yaml").unlink()
    assert run_training(data, tmp_path / "run", max_steps=4).step == 4


def test_a_folder_that_is_no_data_set_and_one_without_records_are_refused(tmp_path):
    with pytest.raises(InputDataError, match=r"holds no manifest.json, so it is not a finished data set"):
        run_training(tmp_path, tmp_path / "run")
    write_dataset(tmp_path / "empty", {"train": []})
    with pytest.raises(ConfigError, match="empty has no records in split 'train': there is nothing to learn from"):
        run_training(tmp_path / "empty", tmp_path / "run")


@pytest.mark.parametrize("weight", [1e38, float("inf"), float("nan")])
def test_a_weight_that_blows_up_stops_before_the_update_and_names_field_and_step(tmp_path, weight):
    weighted = Field(name="tags", alias="all tags", owner="item", multi_hot=True, weighted=True)
    schema = tiny_schema(fields=(*tiny_schema().fields[:3], weighted))
    groups = tiny_groups(48)
    last = groups[47].impressions[0]
    bad = Impression(sample_id=777, labels=last.labels, fields=[last.fields[0], [(4001, weight), (4002, 1.0)]])
    groups[47] = Group(fields=groups[47].fields, impressions=[bad])
    write_dataset(tmp_path / "data", {"train": groups}, schema=schema)
    changes = {"input": {"global_batch_records": 16, "shuffle": False}, "embedding": {"embedding_optimizer": "adam"}}
    run = tmp_path / "run"
    run.mkdir()
    trainer = Trainer(
        config_of(tmp_path / "data", run, checkpoint={"checkpoint_every_steps": 2}, **changes), Messages()
    )
    message = r"not finite at step 3 \(epoch 0, .*777.*Nothing was updated.*in field 'tags' \(all tags\)"
    with pytest.raises(NumericalError, match=message):
        trainer.train()
    # the checkpoint of step 2 is what the third step began with
    with np.load(run / "checkpoints/step-00000002/dense.npz") as saved:
        now = dense_state(trainer._state.compiled.model, trainer._state.compiled.optimizer)
        assert sorted(saved.files) == sorted(now)
        for name in saved.files:
            np.testing.assert_array_equal(saved[name], now[name])
    untouched = Trainer(config_of(tmp_path / "data", run, max_steps=2, **changes), Messages())
    stores = [t.store for t in (trainer, untouched)]
    for column in ("ids", "rows", "slots", "last_step", "count"):
        found, expected = (
            getattr(store.export("main", 0, 4096), column) for store in stores if isinstance(store, EmbeddedStore)
        )
        np.testing.assert_array_equal(found, expected)


def test_rows_are_evicted_every_k_steps_before_anything_is_saved_also_at_the_end_and_after_a_pause(data, tmp_path):
    changes = {"embedding": {"evict_every_steps": 8, "ttl_steps": 2}, "input": {"epochs": 2}}
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    for steps in (8, 40):
        run_training(data, stopped, max_steps=steps, **changes)
    result = run_training(data, whole, checkpoint={"checkpoint_every_steps": 8}, **changes)
    for step in (32, 40):
        folder = checkpoint_folder(Folder.open(whole), step)
        (file,) = read_checkpoint_manifest(folder).tables
        last_steps = read_rows(folder, file).last_step
        assert len(last_steps) < len(used_ids())
        assert last_steps.min() >= step - 2  # nothing older is left
    assert state_of(stopped, 40) == state_of(whole, 40)
    assert result.rows == len(last_steps)


def test_several_ranks_with_rows_of_their_own_are_refused(data, tmp_path):
    class TwoRanks(SoloWorld):
        size = 2

    message = (
        "servers is embedded, but 2 ranks train.* esmm local --workers 2 --servers 1 -- train ..., or name servers"
    )
    with pytest.raises(ConfigError, match=message):
        refuse_rows_apart(config_of(data, tmp_path), TwoRanks())
    refuse_rows_apart(config_of(data, tmp_path), SoloWorld())
    refuse_rows_apart(config_of(data, tmp_path, store={"servers": "127.0.0.1:1"}), TwoRanks())


def test_ranks_tell_each_other_whose_batch_was_not_finite():
    class BesideAnother(SoloWorld):
        size = 2

        def gather(self, rows: Any) -> Any:
            return np.concatenate([rows, np.frombuffer(b"The loss is nan.\n", np.uint8).reshape(-1, 1)])

    own = NumericalError("mine")
    assert agreed_error(own, 3, BesideAnother()) is own
    told = str(agreed_error(None, 3, BesideAnother()))
    assert told == "Step 3: another rank's batch is not finite. That rank says: The loss is nan."
