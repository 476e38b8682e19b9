"""Scores in a run's folder: read back as they were, and never for another key."""

import math

import pytest

from esmm_dist.report.run_page.kept_report import read_scores, scores_name, write_scores
from esmm_dist.report.run_scores.scores import GainCurve, RunScores, ScoreHistogram, TaskScores
from esmm_dist.storage.folder import Folder

KEY = {"checkpoint_crc32c": 5, "data_set": "d", "split": "test", "by": ("a",), "by_values": 10}


def some_scores(step=100):
    task = TaskScores(
        metrics={"auc": 0.7, "gauc": math.nan},
        deciles=[{"mean": 0.1}],
        histogram=ScoreHistogram(edges=[-1.0, 0.0, 1.0], positives=[1.0, 2.0], negatives=[3.0, 4.0]),
        gain=GainCurve(
            share_of_impressions=[0.0, 1.0], share_of_positives=[0.0, 1.0], best_share_of_positives=[0.0, 1.0]
        ),
    )
    return RunScores(
        run="run",
        step=step,
        data="data",
        split="test",
        impressions=10,
        tasks={"ctr": task},
        segments=[{"name": "user", "segments": []}],
        calibrated_by=None,
    )


def test_scores_are_read_back_as_they_were(tmp_path):
    run = Folder.open(tmp_path)
    write_scores(run, some_scores(), KEY)
    found = read_scores(run, 100, "test", KEY)
    assert found is not None
    assert math.isnan(found.tasks["ctr"].metrics["gauc"])
    assert found.tasks["ctr"].histogram == some_scores().tasks["ctr"].histogram
    assert repr(found.to_mapping()) == repr(some_scores().to_mapping())


@pytest.mark.parametrize(("name", "value"), [("checkpoint_crc32c", 6), ("data_set", "e"), ("by", ()), ("by_values", 5)])
def test_scores_of_another_key_are_not_used(tmp_path, name, value):
    run = Folder.open(tmp_path)
    write_scores(run, some_scores(), KEY)
    other = {**KEY, name: value}
    assert read_scores(run, 100, "test", other) is None
    # a file that was renamed to the name of another key does not lie
    (tmp_path / "report" / scores_name(100, "test", KEY)).rename(tmp_path / "report" / scores_name(100, "test", other))
    assert read_scores(run, 100, "test", other) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 1, "scores": 2}', "[" * 100_000])
def test_a_damaged_file_is_not_used(tmp_path, text):
    run = Folder.open(tmp_path)
    write_scores(run, some_scores(), KEY)
    (tmp_path / "report" / scores_name(100, "test", KEY)).write_text(text)
    assert read_scores(run, 100, "test", KEY) is None


def test_a_file_with_another_number_is_not_used(tmp_path):
    run = Folder.open(tmp_path)
    write_scores(run, some_scores(), KEY)
    file = tmp_path / "report" / scores_name(100, "test", KEY)
    assert "0.7" in file.read_text()
    file.write_text(file.read_text().replace("0.7", "1e999"))
    assert read_scores(run, 100, "test", KEY) is None


def test_a_run_that_cannot_be_written_to_stays_as_it_is(tmp_path):
    (tmp_path / "report").write_text("a file where the folder should be")
    write_scores(Folder.open(tmp_path), some_scores(), KEY)
    assert (tmp_path / "report").read_text() == "a file where the folder should be"
    assert read_scores(Folder.open(tmp_path), 100, "test", KEY) is None
