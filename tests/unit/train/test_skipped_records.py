"""Trainings of a data set with damage: all else is learned, and what was skipped is counted and told once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.config import build
from esmm_dist.errors import InputDataError, StorageError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.skipped_records import SkippedRecords
from tests.support.damage import flip_bit, remove
from tests.support.tiny_dataset import Group, tiny_groups, write_dataset

TRAIN = tiny_groups(160)  # 4 lanes of 40, in parts of 20; 16 records a batch are 4 of each
TEST = tiny_groups(40, seed=2, first_sample=5000)
MISSING, HURT = "train/lane-001-part-001.tfrecord", "train/lane-002-part-000.tfrecord"
MISSING_TEST = "test/lane-003-part-000.tfrecord"  # the first 5 records of lane 3


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def impressions(groups: list[Group]) -> int:
    return sum(len(group.impressions) for group in groups)


def config_of(data: Path, run: Path, **settings: Any) -> TrainConfig:
    given = {
        "data": data,
        "run": str(run),
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "checkpoint": {"checkpoint_every_steps": 4},
        "log_every_steps": 1,
        **settings,
        "input": {"global_batch_records": 16, "epochs": 2, "on_bad_record": "skip", **settings.get("input", {})},
    }
    return build(TrainConfig, given, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": TRAIN, "test": TEST})
    remove(folder / MISSING)
    flip_bit(folder / HURT)
    remove(folder / MISSING_TEST)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run, progress = tmp_path_factory.mktemp("runs") / "run", Messages()
    return run, train(config_of(data, run), progress), progress


def by_path(result: TrainResult) -> dict[str, SkippedShard]:
    assert len({each.path for each in result.skipped}) == len(result.skipped)
    return {each.path: each for each in result.skipped}


def test_all_steps_are_made_and_the_result_counts_what_was_skipped_once(trained):
    _, result, _ = trained
    assert (result.step, result.total_steps) == (20, 20)
    skipped = by_path(result)
    assert list(skipped) == sorted([MISSING, HURT, MISSING_TEST])
    assert (skipped[MISSING].records, skipped[MISSING].impressions) == (20, impressions(TRAIN[1::4][20:]))
    assert (skipped[MISSING_TEST].records, skipped[MISSING_TEST].impressions) == (5, impressions(TEST[3::4][:5]))
    assert 0 < skipped[HURT].records <= 20
    lost = skipped[MISSING].impressions + skipped[HURT].impressions
    assert result.impressions == 2 * (impressions(TRAIN) - lost)
    assert result.metrics["ctr"].impressions == impressions(TEST) - skipped[MISSING_TEST].impressions
    assert result.lines()[1].startswith("Skipped ")
    assert any(line.startswith(f"{MISSING}: 20 records, ") for line in result.lines())


def test_each_damaged_shard_is_told_once_and_stands_in_the_run(trained):
    run, result, progress = trained
    told = [text for text in progress.texts if text.startswith("Skipped: ")]
    assert len(told) == 3
    written = json.loads((run / "skipped.json").read_text())
    assert [SkippedShard(**each) for each in written["shards"]] == list(result.skipped)
    assert written["records"] == sum(each.records for each in result.skipped)
    assert written["impressions"] == sum(each.impressions for each in result.skipped)


def state_of(run: Path, step: int) -> dict[str, bytes]:
    folder = run / f"checkpoints/step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


def test_a_stopped_and_resumed_run_skips_and_ends_the_same(data, trained, tmp_path):
    run, whole, _ = trained
    parts = [train(config_of(data, tmp_path / "run", max_steps=steps), Messages()) for steps in (3, 20)]
    assert parts[1].skipped == whole.skipped
    assert state_of(tmp_path / "run", 20) == state_of(run, 20)


def test_what_was_skipped_before_is_still_counted_after_the_setting_is_changed(tmp_path):
    manifest = write_dataset(tmp_path / "data", {"train": TRAIN})
    kept = (tmp_path / "data" / MISSING).read_bytes()
    remove(tmp_path / "data" / MISSING)
    first = train(config_of(tmp_path / "data", tmp_path / "run", max_steps=10), Messages())
    assert [each.path for each in first.skipped] == [MISSING]
    (tmp_path / "data" / MISSING).write_bytes(kept)
    second = train(config_of(tmp_path / "data", tmp_path / "run", input={"on_bad_record": "fail"}), Messages())
    assert second.skipped == first.skipped
    assert second.impressions == manifest.splits["train"].impressions
    anew = train(config_of(tmp_path / "data", tmp_path / "another"), Messages())
    assert anew.skipped == ()
    assert not (tmp_path / "another/skipped.json").exists()


def test_batches_of_nothing_but_skipped_records_change_nothing_and_are_steps_all_the_same(tmp_path):
    """The third of four parts of the only lane is gone: whole batches, after Adam has gained momentum."""
    write_dataset(tmp_path / "data", {"train": TRAIN}, lanes=1, parts=4)
    remove(tmp_path / "data/train/lane-000-part-002.tfrecord")
    settings = {
        "input": {"shuffle": False, "epochs": 1},
        "checkpoint": {"checkpoint_every_steps": 1, "keep_checkpoints": 9},
        "cooldown": 0,  # the learning rate is part of the optimizer's state
    }
    result = train(config_of(tmp_path / "data", tmp_path / "run", **settings), Messages())
    assert result.step == 10
    assert result.impressions == impressions(TRAIN) - impressions(TRAIN[80:120])
    # records 80 .. 95 are step 6, 96 .. 111 step 7; step 8 has 8 of the gone and 8 others
    assert state_of(tmp_path / "run", 6) == state_of(tmp_path / "run", 5) == state_of(tmp_path / "run", 7)
    assert state_of(tmp_path / "run", 8) != state_of(tmp_path / "run", 7)
    logs = [json.loads(line) for line in (tmp_path / "run/train_log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logs] == list(range(1, 11))
    assert all(np.isfinite(list(entry.values())).all() for entry in logs)


def test_evaluation_and_prediction_fail_or_skip_and_say_what_is_missing(data, trained, tmp_path):
    run, result, _ = trained
    for act in (
        lambda: evaluate(EvaluateConfig(run=str(run), data=data), NoProgress()),
        lambda: predict(PredictConfig(run=str(run), data=data, out=tmp_path / "scores.parquet"), NoProgress()),
    ):
        with pytest.raises(InputDataError, match=f"{MISSING_TEST} is missing, but"):
            act()
    progress = Messages()
    metrics = evaluate(EvaluateConfig(run=str(run), data=data, on_bad_record="skip"), progress).tasks
    assert metrics == result.metrics
    lost = impressions(TEST[3::4][:5])
    line = f"{MISSING_TEST}: 5 records, {lost} impressions (is missing, but the manifest lists it)"
    assert line in progress.texts
    config = PredictConfig(run=str(run), data=data, out=tmp_path / "scores.parquet", on_bad_record="skip")
    predicted = predict(config, NoProgress())
    assert predicted.lines()[1] == f"{lost} impressions have no row."
    assert line in predicted.lines()
    gone = {i.sample_id for group in TEST[3::4][:5] for i in group.impressions}
    expected = {i.sample_id for group in TEST for i in group.impressions} - gone
    assert set(pq.read_table(tmp_path / "scores.parquet")["sample_id"].to_pylist()) == expected


def test_a_list_that_cannot_be_written_is_reported_and_written_at_the_next_pause(context_of, tmp_path):
    class Refusing(RunFolder):
        refuses = True

        def write_skipped(self, shards):
            if self.refuses:
                raise StorageError("the disk is full.")
            super().write_skipped(shards)

    run, progress = Refusing(tmp_path), Messages()
    context = context_of(run, progress, input={"global_batch_records": 4, "on_bad_record": "skip"})
    skipped = SkippedRecords(context, resumed=False)
    skipped.collect([SkippedShard(path="train/a", records=2, impressions=5, reason="is missing")])
    assert (
        progress.texts[-1] == "The list of skipped records could not be written and will be retried. the disk is full."
    )
    run.refuses = False
    skipped.collect([])
    assert json.loads((tmp_path / "skipped.json").read_text())["records"] == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"shards": [{"path": 1}]}'])
def test_a_damaged_list_of_what_was_skipped_is_begun_anew(tmp_path, text):
    Folder.open(tmp_path).write_bytes("skipped.json", text.encode())
    assert RunFolder(tmp_path).read_skipped() == []
