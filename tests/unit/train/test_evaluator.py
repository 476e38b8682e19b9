"""Evaluation while training: when, on what, and what is kept of it."""

import json
from typing import Any

import pytest

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import StorageError
from esmm_dist.inference.scoring import Scorer
from esmm_dist.progress import NoProgress
from esmm_dist.train.compiled_model import compile_model
from esmm_dist.train.evaluator import Evaluator
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.skipped_records import SkippedRecords
from esmm_dist.train.train_state import TrainState


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def evaluator_of(context_of):
    """Makes evaluators of a run whose model has its start values; the test split has four records."""

    def make(run: Any, progress: NoProgress | None = None, **evaluation: Any) -> Evaluator:
        evaluation = {"baseline": False, **evaluation}
        context = context_of(run, progress or NoProgress(), evaluation=evaluation)
        state = TrainState(compile_model(context.config, context.schema, context.world), 2)
        store = EmbeddedStore(context.schema.tables, context.config.embedding, seed=1)
        scorer = Scorer(schema=context.schema, store=store, forward=state.compiled.forward, transform=LogitTransform())
        log = RunLog(context.run)
        return Evaluator(context, state, scorer, log, SkippedRecords(context, resumed=False))

    return make


def metrics_of(run) -> dict:
    found: dict = json.loads((run / "metrics.json").read_text())
    return found


def test_an_evaluation_is_due_every_k_steps_and_once(evaluator_of, tmp_path):
    evaluator = evaluator_of(tmp_path, eval_every_steps=3)
    assert [step for step in range(10) if evaluator.is_due(step)] == [3, 6, 9]
    assert (evaluator.next_step(3), evaluator.next_step(4)) == (6, 6)
    evaluator.evaluate(3)
    assert not evaluator.is_due(3)
    assert evaluator.is_due(6)


def test_without_a_period_only_the_end_is_evaluated(evaluator_of, tmp_path):
    evaluator = evaluator_of(tmp_path, eval_every_steps=0)
    assert evaluator.next_step(5) is None
    assert not any(evaluator.is_due(step) for step in range(50))
    assert evaluator.newest_metrics == {}


def test_evaluations_are_kept_in_the_order_of_their_steps_and_written(evaluator_of, tmp_path):
    evaluator = evaluator_of(tmp_path)
    for step in (2, 4):
        evaluator.evaluate(step)
    assert [each["step"] for each in evaluator.done] == [2, 4]
    assert metrics_of(tmp_path)["newest"] == evaluator.done[-1]
    assert evaluator.newest_metrics == evaluator.done[-1]["metrics"]
    assert evaluator.newest_metrics.keys() == {"ctr", "cvr", "ctcvr"}


def test_steps_that_are_made_again_are_evaluated_again(evaluator_of, tmp_path):
    evaluator = evaluator_of(tmp_path)
    for step in (2, 4, 3):
        evaluator.evaluate(step)
    assert [each["step"] for each in evaluator.done] == [2, 3]


def test_the_end_is_evaluated_on_the_whole_split_once(evaluator_of, tmp_path):
    evaluator = evaluator_of(tmp_path, eval_max_impressions=1)
    evaluator.evaluate(6)
    metrics, new = evaluator.final_metrics(6)
    assert new
    assert [(each["step"], each["whole_split"]) for each in evaluator.done] == [(6, True)]
    again, new = evaluator.final_metrics(6)
    assert not new
    assert str(again) == str(metrics)  # nan is no equal of nan


def test_a_data_set_without_the_split_is_not_evaluated_and_says_so(evaluator_of, tmp_path):
    progress = Messages()
    evaluator = evaluator_of(tmp_path, progress, eval_split="validation", baseline=True)
    assert evaluator.final_metrics(6) == ({}, True)
    assert evaluator.baseline() is None
    assert len(progress.texts) == 1
    assert progress.texts[0].startswith("Not evaluated: ")
    assert progress.texts[0].endswith(" has no split 'validation'.")
    assert not (tmp_path / "metrics.json").exists()


class FullDisk(RunFolder):
    full = True

    def write_metrics(self, *content: Any, **named: Any) -> None:
        if self.full:
            raise StorageError("the disk is full.")
        super().write_metrics(*content, **named)


def test_metrics_that_cannot_be_written_are_written_with_the_next_ones(evaluator_of, tmp_path):
    run, progress = FullDisk(tmp_path), Messages()
    evaluator = evaluator_of(run, progress)
    evaluator.evaluate(2)
    refused = "The metrics could not be written; the next evaluation writes them too. the disk is full."
    assert progress.texts[0] == refused
    run.full = False
    evaluator.evaluate(4)
    assert [each["step"] for each in metrics_of(tmp_path)["evaluations"]] == [2, 4]


def test_the_last_metrics_must_be_written(evaluator_of, tmp_path):
    with pytest.raises(StorageError, match="the disk is full"):
        evaluator_of(FullDisk(tmp_path)).final_metrics(6)


def test_a_baseline_of_another_split_is_not_taken_for_that_of_this_one(evaluator_of, tmp_path, monkeypatch):
    made: list[str] = []

    def baseline_of_root(world, data, manifest, split, *rest):
        made.append(split)

    monkeypatch.setattr("esmm_dist.train.evaluator.baseline_of_root", baseline_of_root)
    stored = {"auc": {"ctr": 0.5}, "auc_standard_error": {"ctr": 0.1}}
    counts = dict.fromkeys(("train_impressions", "test_impressions", "of_train_impressions", "of_test_impressions"), 9)
    evaluator = evaluator_of(tmp_path, baseline=True)
    RunFolder(tmp_path).write_metrics([], {"split": "validation", **stored, **counts})
    assert evaluator.baseline() is None
    assert made == ["test"]
    RunFolder(tmp_path).write_metrics([], {"split": "test", **stored, **counts})
    found = evaluator.baseline()
    assert found is not None
    assert (found.auc, made) == ({"ctr": 0.5}, ["test"])
