"""The kept lines of a run's processes."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.jobs.local_logs import find_log, follow_lines, read_lines
from launcher.run_files.run_status import RunStatus
from tests.unit.launcher.run_files.statuses import make_status


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    (tmp_path / "logs").mkdir()
    return Folder.open(tmp_path)


def write_logs(run: Folder, *names: str) -> None:
    for name in names:
        (run.local_path / f"logs/{name}.log").write_text(f"line of {name}\n")


@pytest.mark.parametrize(
    ("names", "which", "expected"),
    [
        (["driver", "worker-0", "local"], None, "driver"),
        (["worker-0", "server-0", "local"], None, "worker-0"),
        (["server-0", "local"], None, "local"),
        (["server-1", "server-0"], None, "server-0"),  # nothing tells more than another
        (["driver", "server-1"], "server-1", "server-1"),
        (["worker-0", "worker-1"], "rank-1", "worker-1"),  # without a driver rank N is worker N
    ],
)
def test_the_process_that_is_named_or_tells_most_is_shown(run, names, which, expected):
    write_logs(run, *names)
    assert find_log(run, which, None).name == f"{expected}.log"


def test_a_rank_is_the_worker_that_has_it_now(run):
    write_logs(run, "worker-0", "worker-4")
    status: RunStatus = make_status(ranks=1)
    moved = [status.workers[0].__class__(name="worker-4", state="running", rank=0)]
    assert find_log(run, "rank-0", make_status(workers=moved)).name == "worker-4.log"


def test_a_process_without_a_log_is_named_with_those_that_have_one(run):
    write_logs(run, "driver", "local")
    with pytest.raises(ConfigError, match=r"has no log of 'worker-7'\. Its logs: driver, local\."):
        find_log(run, "worker-7", None)


def test_a_run_without_logs_says_so(run):
    with pytest.raises(ConfigError, match="has no logs/: no esmm local has trained there yet"):
        find_log(run, None, None)


@pytest.mark.parametrize(("tail", "expected"), [(None, ["a", "b", "c", "half"]), (2, ["c", "half"]), (0, [])])
def test_lines_are_read_over_both_files_oldest_first(tmp_path, tail, expected):
    (tmp_path / "x.log.1").write_text("a\nb\n")
    (tmp_path / "x.log").write_text("c\nhalf")
    assert list(read_lines(tmp_path / "x.log", tail=tail)) == expected


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path):
    (tmp_path / "x.log").write_bytes(b"a\xffb\n")
    assert list(read_lines(tmp_path / "x.log")) == ["a\ufffdb"]


class Writer:
    """A run that writes a step each time that somebody asks whether it goes on."""

    def __init__(self, *steps: object) -> None:
        self._steps: Iterator[object] = iter(steps)

    def is_running(self) -> bool:
        step = next(self._steps, None)
        if callable(step):
            step()
        return step is not None


@pytest.fixture(autouse=True)
def _never_sleep(monkeypatch):
    monkeypatch.setattr("launcher.jobs.local_logs.time.sleep", lambda seconds: None)


def test_followed_lines_come_whole_and_once_until_the_run_has_ended(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("a\nha")

    def add(text: str):
        return lambda: path.write_text(path.read_text() + text)

    writer = Writer(add("lf\n"), True, add("b\nc"), add("\n"))
    assert list(follow_lines(path, writer.is_running)) == ["a", "half", "b", "c"]


def test_what_is_written_until_the_end_is_shown(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("a\n")
    states = itertools.chain([True], itertools.repeat(False))

    def is_running() -> bool:
        running = next(states)
        if not running:
            path.write_text("a\nlast\n")
        return running

    assert list(follow_lines(path, is_running)) == ["a", "last"]


def test_a_file_that_is_begun_anew_is_followed_from_its_beginning(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("a\nb\n")

    def rotate() -> None:
        path.write_text("a\nb\nc\n")
        path.rename(tmp_path / "x.log.1")
        path.write_text("d\n")

    writer = Writer(rotate, True, True)
    assert list(follow_lines(path, writer.is_running, tail=1)) == ["b", "c", "d"]
