"""Checkpoints while training, on storage that refuses for a while."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.writer import CheckpointContent
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import RetryError
from esmm_dist.progress import NoProgress
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.saver import Saver
from tests.support.tiny_dataset import tiny_schema


class Messages(NoProgress):
    def __init__(self, on_message: Callable[[], None] = lambda: None) -> None:
        self.texts: list[str] = []
        self._on_message = on_message

    def message(self, text: str) -> None:
        self.texts.append(text)
        self._on_message()


@pytest.fixture
def saver_of(context_of):
    """Makes savers of a run."""

    def make(run: Path, progress: NoProgress, *, every: int = 100, saved_step: int | None = None) -> Saver:
        checkpoint = {"checkpoint_every_steps": every, "keep_checkpoints": 9}
        # The run is looked into before the storage refuses
        context = replace(context_of(run / "before", progress, checkpoint=checkpoint), run=RunFolder(run))
        store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=2), seed=1)
        return Saver(context, store, saved_step=saved_step, pauses_s=(0.0, 0.0))

    return make


def save(saver: Saver, step: int, *, last: bool = False) -> None:
    content = CheckpointContent(
        step=step, schema=tiny_schema(), dense={"a": np.ones(2)}, settings={}, state={"of": step}, metrics={}
    )
    saver.save(step, lambda: content, last=last)


def saved(run: Path) -> list[int]:
    return checkpoint_steps(RunFolder(run).folder)


@pytest.fixture
def refusing(tmp_path):
    """A run where no folder of checkpoints can be made, because a file has its name."""
    obstacle = tmp_path / "checkpoints"
    obstacle.write_text("")
    return tmp_path, obstacle


def test_saves_are_due_every_k_steps(saver_of):
    saver = saver_of(Path("r"), NoProgress(), every=20)
    assert [step for step in range(61) if saver.is_due(step)] == [20, 40, 60]
    assert [saver.next_step(step) for step in (0, 19, 20)] == [20, 20, 40]


def test_without_a_period_none_is_due(saver_of):
    saver = saver_of(Path("r"), NoProgress(), every=0)
    assert saver.next_step(7) is None
    assert not any(saver.is_due(step) for step in range(100))


def test_a_save_that_fails_is_told_and_tried_again_after_a_tenth_of_the_period(saver_of, refusing):
    run, obstacle = refusing
    progress = Messages()
    saver = saver_of(run, progress, every=100)
    save(saver, 100)
    assert len(progress.texts) == 1
    assert progress.texts[0].startswith("The checkpoint of step 100 could not be written")
    assert progress.texts[0].endswith("Training continues and tries again at step 110.")
    assert [step for step in range(101, 301) if saver.is_due(step)] == [110, 200, 300]
    obstacle.unlink()
    save(saver, 110)
    assert saved(run) == [110]
    assert [step for step in range(111, 301) if saver.is_due(step)] == [200, 300]


def test_a_short_period_is_tried_again_at_the_next_step(saver_of, refusing):
    saver = saver_of(refusing[0], NoProgress(), every=5)
    save(saver, 5)
    assert saver.is_due(6)


def test_the_third_failure_in_a_row_ends_training(saver_of, refusing):
    run, obstacle = refusing
    saver = saver_of(run, NoProgress())
    save(saver, 100)
    save(saver, 110)
    obstacle.unlink()
    save(saver, 120)
    run.joinpath("checkpoints").rename(run / "kept")
    obstacle.write_text("")
    save(saver, 200)  # counted anew after one that went well
    save(saver, 210)
    with pytest.raises(RetryError, match="The checkpoint of step 220 could not be written"):
        save(saver, 220)


def test_the_last_save_is_tried_three_times_at_once(saver_of, refusing):
    run, obstacle = refusing
    progress = Messages()
    with pytest.raises(RetryError, match="The checkpoint of step 7 could not be written"):
        save(saver_of(run, progress), 7, last=True)
    assert len(progress.texts) == 2
    assert all(text.endswith("Trying again in 0 s.") for text in progress.texts)
    save(saver_of(run, Messages(lambda: obstacle.unlink(missing_ok=True))), 7, last=True)
    assert saved(run) == [7]


def test_a_step_that_is_saved_is_not_saved_again(saver_of, refusing):
    run, obstacle = refusing  # where a save would fail
    save(saver_of(run, NoProgress(), saved_step=30), 30, last=True)
    obstacle.unlink()
    assert saved(run) == []


def test_metrics_that_come_later_are_put_into_the_checkpoint(saver_of, tmp_path):
    saver = saver_of(tmp_path, NoProgress())
    save(saver, 5)
    saver.add_metrics(5, state={"of": "later"}, metrics={"ctr": {"auc": 0.5}}, calibration=None)
    manifest = read_checkpoint_manifest(checkpoint_folder(RunFolder(tmp_path).folder, 5))
    assert (manifest.metrics, manifest.state) == ({"ctr": {"auc": 0.5}}, {"of": "later"})
