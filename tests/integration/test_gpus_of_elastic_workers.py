"""Elastic workers of one machine take a GPU each, also those that come later. The GPUs are made up."""

import sys
from pathlib import Path

import pytest

from tests.support.elastic_run import elastic_run
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

CHANGED_WORKERS = (sys.executable, str(Path(__file__).parents[1] / "support/changed_workers.py"))


def test_each_elastic_worker_of_a_machine_takes_the_gpu_of_its_number(tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("CHANGE", "gpus")
    monkeypatch.setenv("NOTES", str(notes))
    write_dataset(tmp_path / "data", {"train": tiny_groups(160)})
    line = [
        *("--workers", "2", "--min-workers", "2", "--servers", "1", "--", "train", "--data", str(tmp_path / "data")),
        *("--run", str(tmp_path / "run"), "--global-batch-records", "16", "--epochs", "1", "--hidden-units"),
    ]
    with elastic_run(tmp_path / "run", line, log=tmp_path / "log", esmm=CHANGED_WORKERS) as run:
        assert run.wait_for_end(280) == 0, run.tail()
        starts = [each for each in run.events() if each["event"] == "worker_started"]
    assert {each["worker"] for each in starts} == {"worker-0", "worker-1"}
    assert sorted(each.read_text() for each in notes.iterdir()) == ["GPU 0", "GPU 1"]
