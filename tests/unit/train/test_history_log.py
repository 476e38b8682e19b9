"""The writer of a run's history."""

import itertools
import json

from esmm_dist.storage.folder import Folder
from esmm_dist.train.history_log import HistoryLog
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.run_history import read_history


def log_of(run: RunFolder | None) -> HistoryLog:
    times = itertools.count(100)
    return HistoryLog(run, clock=lambda: float(next(times)))


def told(location: str) -> list[tuple[float, str, int | None]]:
    return [(each.at, each.event, each.step) for each in read_history(Folder.open(location))]


def test_a_start_is_written_with_its_own_time_once_something_follows_from_it(location):
    with locked_run(location) as run:
        log = log_of(run)
        log.begin("start", 0, ranks=1, servers=0)
        assert told(location) == []
        log.follow()
        log.follow()
        log.add("checkpoint", 10, seconds=0.5)
        log.end("done", 10)
    assert told(location) == [(100, "start", 0), (101, "checkpoint", 10), (102, "done", 10)]


def test_a_start_that_finds_nothing_to_do_leaves_no_trace(location):
    with locked_run(location) as run:
        log = log_of(run)
        log.begin("resume", 10, ranks=1)
        log.end("done", 10)
    assert told(location) == []


def test_a_failure_has_the_start_before_it(location):
    with locked_run(location) as run:
        log = log_of(run)
        log.begin("start", 0)
        log.add("failed", 0, error="step 1: the loss is nan")
    assert told(location) == [(100, "start", 0), (101, "failed", 0)]


def test_the_next_process_goes_on_in_the_same_file_behind_half_a_line(location):
    with locked_run(location) as run:
        log = log_of(run)
        assert log.ranks_before is None
        log.begin("start", 0, ranks=3)
        log.follow()
    folder = Folder.open(location)
    folder.write_bytes("history.jsonl", folder.read_bytes("history.jsonl") + b'{"at": 1')  # killed while it wrote
    with locked_run(location) as run:
        log = log_of(run)
        assert log.ranks_before == 3
        log.begin("ranks", 5, ranks=2)
        log.add("checkpoint", 10)
    assert told(location) == [(100, "start", 0), (100, "ranks", 5), (101, "checkpoint", 10)]
    lines = folder.read_bytes("history.jsonl").splitlines()
    assert lines[1] == b'{"at": 1'
    assert json.loads(lines[2])["ranks"] == 2


def test_ranks_other_than_0_write_nothing():
    log = log_of(None)
    log.begin("start", 0, ranks=2)
    log.add("checkpoint", 10)
    log.end("done", 10)
    assert log.ranks_before is None
