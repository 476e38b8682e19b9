"""``esmm checkpoints``: the list, and the summary of one."""

import pytest

from esmm_dist.checkpoint.listing import CheckpointInfo
from esmm_dist.checkpoint.summary import CheckpointSummary
from esmm_dist.errors import ConfigError
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.storage.folder import Folder
from launcher.commands.checkpoints import CheckpointsConfig, checkpoints_command
from tests.unit.checkpoint.saved_rows import save
from tests.unit.launcher.commands.played_context import CONTEXT

METRICS = {"ctr": {"auc": 0.68914}, "cvr": {"auc": None}, "step": 100}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return str(tmp_path / "run")


def info(step, **changes):
    values = {
        "path": f"checkpoints/{step}",
        "size_bytes": 1_234_567,
        "rows": 2000,
        "metrics": {},
        "calibrated": "",
        "is_best": False,
        "is_pinned": False,
        "data_set": 1,
        "state": "ok",
    }
    return CheckpointInfo(step=step, **{**values, **changes})


def test_checkpoints_are_a_table_with_a_row_each(run, monkeypatch):
    found = [
        info(1000, metrics=METRICS, is_best=True, is_pinned=True),
        info(2000, rows=0, state="damaged: x is missing"),
    ]
    monkeypatch.setattr("esmm_dist.checkpoint.listing.list_checkpoints", lambda folder: found)
    outcome = checkpoints_command(CheckpointsConfig(run=run), CONTEXT)
    assert [" ".join(line.split()) for line in outcome.lines] == [
        "step size rows calibrated metrics state",
        # A task without an AUC, and what is no task, are left out
        "1,000 (best) (pinned) 1.23 MB 2,000 - ctr AUC 0.6891 ok",
        "2,000 1.23 MB 0 - damaged: x is missing",
    ]
    assert [each["step"] for each in outcome.result["checkpoints"]] == [1000, 2000]


def test_a_run_without_a_checkpoint_says_so(run):
    outcome = checkpoints_command(CheckpointsConfig(run=run), CONTEXT)
    assert outcome.lines == [f"{run} holds no checkpoint yet."]
    assert outcome.result == {"run": run, "checkpoints": []}


def test_one_checkpoint_is_summarised(run, monkeypatch):
    summary = CheckpointSummary(
        step=1000, path="checkpoints/1000", saved_at="2024-01-31T12:00:00Z", size_bytes=4000, files=3, schema="tiny",
        labels=LabelTree.of(("click", "conversion")),
        rows={"user": 1500, "item": 20}, candidates={"user": 7},
        dense_shapes={"tower/kernel": (256, 128), "tower/bias": (128,), "steps": ()},
        settings={"seed": 1, "model": {"dropout": 0.1, "units": [2]}}, metrics={}, calibration=None, state="ok",
        data_sets=(),
    )  # fmt: skip
    monkeypatch.setattr("esmm_dist.checkpoint.summary.summarise_checkpoint", lambda folder, step: summary)
    outcome = checkpoints_command(CheckpointsConfig(run=run, show=1000), CONTEXT)
    assert [" ".join(line.split()) for line in outcome.lines] == [
        "Step 1,000, saved 2024-01-31T12:00:00Z, schema tiny",
        "checkpoints/1000: 3 files, 4 kB",
        "checksums: ok",
        "metrics: not evaluated yet",
        "",
        "table rows candidates",
        "user 1,500 7",
        "item 20 0",
        "",
        "3 dense variables, 32,897 values shape",  # 256 x 128 + 128 + 1
        "tower/kernel 256 × 128",
        "tower/bias 128",
        "steps scalar",
        "",
        "seed: 1",
        "model: dropout 0.1, units [2]",
    ]
    assert outcome.result["checkpoint"]["dense_shapes"]["tower/kernel"] == [256, 128]


def test_a_checkpoint_is_pinned_and_unpinned(run):
    save(Folder.open(run), 1000)
    outcome = checkpoints_command(CheckpointsConfig(run=run, pin=1000), CONTEXT)
    assert outcome.lines == [f"Step 1,000 is pinned: it stays until esmm checkpoints {run} --unpin 1000."]
    assert outcome.result == {"run": run, "pinned": [1000]}
    for said in ("is no longer pinned", "was not pinned"):
        outcome = checkpoints_command(CheckpointsConfig(run=run, unpin=1000), CONTEXT)
        assert outcome.lines == [f"Step 1,000 {said}."]
        assert outcome.result == {"run": run, "pinned": []}


def test_one_thing_is_done_at_a_time(run):
    with pytest.raises(ConfigError, match="show and pin are given together. Give one of them a command"):
        CheckpointsConfig(run=run, show=1, pin=1)


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"run is .*none, which is not a folder\. Give the folder that esmm train wrote"
    ):
        CheckpointsConfig(run=str(tmp_path / "none"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="which is not a folder"):
        CheckpointsConfig(run=str(tmp_path / "file"))
