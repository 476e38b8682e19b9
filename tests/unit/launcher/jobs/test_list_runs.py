"""The runs below a folder."""

import json
from pathlib import Path

import pytest

from esmm_dist.storage.folder import Folder
from launcher.jobs.list_runs import DEPTH, local_runs
from launcher.run_files.run_record import recorded
from launcher.run_files.run_status import write_status
from tests.unit.launcher.run_files.statuses import make_status


def make_run(folder: Path, state: str = "done") -> None:
    folder.mkdir(parents=True)
    write_status(Folder.open(folder), make_status(state, run=str(folder)))


def names(below: Path) -> list[str]:
    return [row.job for row in local_runs(below)]


def test_runs_are_listed_by_path_with_what_their_status_tells(tmp_path):
    make_run(tmp_path / "b")
    make_run(tmp_path / "a", "stopped")
    rows = local_runs(tmp_path)
    assert [(row.job, row.where, row.task, row.state) for row in rows] == [
        ("./a", "local", "train", "stopped"),
        ("./b", "local", "train", "done"),
    ]
    assert [(row.ranks, row.step, row.total_steps, row.since) for row in rows] == [(2, 7, 100, "")] * 2


def test_a_run_whose_driver_is_gone_is_lost(tmp_path):
    make_run(tmp_path / "a", "running")
    with recorded(Folder.open(tmp_path / "a"), ("local",)):
        assert [row.state for row in local_runs(tmp_path)] == ["running"]
    assert [row.state for row in local_runs(tmp_path)] == ["lost"]


def test_folders_are_looked_into_so_deep_and_no_deeper(tmp_path):
    deepest = tmp_path.joinpath(*"abcdefg"[:DEPTH])
    make_run(deepest)
    make_run(tmp_path.joinpath(*"hijklmn"[: DEPTH + 1]))
    assert names(tmp_path) == ["./" + "/".join("abcdefg"[:DEPTH])]


@pytest.mark.parametrize("hidden", [".cache/run", "run/.old"])
def test_hidden_folders_are_left_out(tmp_path, hidden):
    make_run(tmp_path / hidden)
    assert names(tmp_path) == []


def test_what_lies_within_a_run_is_no_run_of_its_own(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "a/checkpoints/b")
    assert names(tmp_path) == ["./a"]


@pytest.mark.parametrize(("name", "text"), [("status.json", "{"), ("local.json", json.dumps({"command": []}))])
def test_a_run_that_cannot_be_read_is_left_out_or_told_by_what_can(tmp_path, name, text):
    make_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / name).write_text(text)
    found = names(tmp_path)
    assert "./good" in found
    assert ("./bad" in found) == (name == "local.json")  # its record is only read by who resumes it
