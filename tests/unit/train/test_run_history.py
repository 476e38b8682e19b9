"""The events of a run: its own, those of its driver, and which of them are told twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_history import DRIVER_EVENTS_NAME, RunEvent, read_history
from launcher.run_files.run_status import EVENTS_NAME

NOON = 1_764_417_600.0  # 2025-11-29T12:00:00Z


def write(run: Path, own: list[dict[str, Any]], of_driver: list[dict[str, Any]]) -> Folder:
    for name, entries in (("history.jsonl", own), ("events.jsonl", of_driver)):
        if entries:
            (run / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return Folder.open(run)


def driver(second: int, event: str, **facts: Any) -> dict[str, Any]:
    return {"time": f"2025-11-29T12:00:{second:02d}.500+00:00", "event": event, **facts}


def told(run: Folder) -> list[tuple[float, str, int | None]]:
    return [(each.at - NOON, each.event, each.step) for each in read_history(run)]


def test_the_driver_has_its_events_where_they_are_looked_for():
    assert DRIVER_EVENTS_NAME == EVENTS_NAME


def test_an_event_has_its_facts(tmp_path):
    event = RunEvent(at=NOON + 0.1234, event="start", step=0, details={"ranks": 2, "servers": 0, "data": "d"})
    assert event.to_mapping() == {
        "at": NOON + 0.123,
        "event": "start",
        "step": 0,
        "ranks": 2,
        "servers": 0,
        "data": "d",
    }
    (found,) = read_history(write(tmp_path, [event.to_mapping()], []))
    assert (found.event, found.step, found.details) == ("start", 0, {"ranks": 2, "servers": 0, "data": "d"})


def test_losses_and_joins_of_the_driver_stand_among_the_events_of_the_run(tmp_path):
    own = [
        {"at": NOON + 1, "event": "start", "step": 0, "ranks": 2},
        {"at": NOON + 5, "event": "checkpoint", "step": 50},
        {"at": NOON + 9, "event": "ranks", "step": 60, "ranks": 1, "before": 2},
        {"at": NOON + 20, "event": "done", "step": 100},
    ]
    of_driver = [
        driver(0, "worker_started", worker="worker-0"),
        driver(1, "began", step=0, ranks=2),
        driver(5, "saved", step=50),
        driver(7, "worker_lost", worker="worker-1", step=60),
        driver(21, "done", step=100),
    ]
    run = write(tmp_path, own, of_driver)
    assert told(run) == [
        (0.5, "worker_started", None),
        (1, "start", 0),
        (5, "checkpoint", 50),
        (7.5, "worker_lost", 60),
        (9, "ranks", 60),
        (20, "done", 100),
    ]
    assert read_history(run)[3].details == {"worker": "worker-1"}


def test_an_end_that_no_worker_was_left_to_write_is_the_drivers(tmp_path):
    own = [{"at": NOON + 1, "event": "start", "step": 0}, {"at": NOON + 30, "event": "resume", "step": 50}]
    of_driver = [driver(10, "failed", error="no worker is left"), driver(40, "stopped", step=70)]
    assert told(write(tmp_path, own, of_driver)) == [
        (1, "start", 0),
        (10.5, "failed", None),
        (30, "resume", 50),
        (40.5, "stop", 70),
    ]


def test_an_elastic_run_of_an_earlier_version_has_the_events_of_its_driver_by_the_names_of_now(tmp_path):
    names = [("began", 0), ("saved", 5), ("evaluated", 5), ("began", 5), ("stopped", 7)]
    run = write(tmp_path, [], [driver(second, name, step=step) for second, (name, step) in enumerate(names)])
    assert [(event, step) for _, event, step in told(run)] == [
        ("start", 0),
        ("checkpoint", 5),
        ("evaluation", 5),
        ("resume", 5),
        ("stop", 7),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "noon"},
        {"at": float("nan")},
        {"at": None},
        {"event": 3},
        {"event": None},
        {"step": "many"},
        {"step": -1},
    ],
)
def test_a_line_that_is_no_event_is_left_out(tmp_path, wrong):
    good = {"at": NOON, "event": "start", "step": 0}
    run = write(tmp_path, [good, {**good, **wrong}], [])
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"at": 17')
    assert told(run) == [(0, "start", 0)]


@pytest.mark.parametrize("time", ["yesterday", None, 3, "2025-13-29T12:00:00", "0001-01-01T00:00:00"])
def test_a_line_of_the_driver_without_a_time_is_left_out(tmp_path, time):
    own = [{"at": NOON, "event": "start", "step": 0}]
    run = write(tmp_path, own, [{"time": time, "event": "worker_lost"}, {"event": "worker_lost"}, driver(3, "met")])
    assert told(run) == [(0, "start", 0), (3.5, "met", None)]


def test_a_run_of_an_earlier_version_in_one_process_has_no_events(tmp_path):
    assert read_history(Folder.open(tmp_path)) == []
