"""The state of an elastic run as lines for a reader."""

import pytest

from launcher.run_files.run_status import RunStatus, ServerStatus, WorkerStatus
from launcher.run_files.status_lines import is_stale, progress_line, status_lines, steps_text

NOW = 1_700_000_000.0


def status(state: str = "running", **changes: object) -> RunStatus:
    values = {"run": "run", "written_at": NOW, "started_at": NOW - 90, "driver_pid": 5, "max_workers": 4}
    return RunStatus(**{**values, "state": state, **changes})  # type: ignore[arg-type]


def test_the_lines_tell_what_a_reader_asks_for():
    found = status(
        generation=4,
        ranks=2,
        wanted_workers=2,
        step=1500,
        total_steps=3000,
        impressions_per_second=12_345.0,
        checkpoint_step=1400,
        checkpoint_at=NOW - 5,
    )
    assert status_lines(found, NOW)[:3] == [
        "run: running for 1 min 30 s; 2 ranks of 2 wanted (1 to 4), generation 4",
        "step 1,500 of 3,000 (50%), 12.3 k impressions/s",
        "last checkpoint: step 1,400, 5.0 s ago (2023-11-14 22:13:15 UTC)",
    ]


def test_the_newest_evaluation_is_shown_and_what_has_no_auc_is_said():
    auc = {"ctr": [0.61234, 0.002], "cvr": [0.7, None], "ctcvr": [None, None]}
    lines = status_lines(status("done", evaluation={"step": 1400, "split": "test", "auc": auc}), NOW)
    assert "AUC on test at step 1,400: ctr 0.6123 ± 0.0020, cvr 0.7000, ctcvr none (one class only)" in lines


@pytest.mark.parametrize(
    ("step", "total_steps", "expected"),
    [
        (0, None, "step 0"),
        (1234, None, "step 1,234"),
        (0, 0, "step 0 of 0"),  # before the driver knows the data
        (1, 3, "step 1 of 3 (33%)"),
        (3, 3, "step 3 of 3 (100%)"),
    ],
)
def test_steps_are_shown_with_their_share_where_all_are_known(step, total_steps, expected):
    assert steps_text(step, total_steps) == expected


def test_the_speed_is_shown_once_there_is_one():
    assert progress_line(status(step=5, total_steps=10)) == "step 5 of 10 (50%)"
    fast = status(step=5, total_steps=10, impressions_per_second=2_500_000.0)
    assert progress_line(fast) == "step 5 of 10 (50%), 2.50 M impressions/s"


def test_a_run_that_has_just_begun_has_nothing_to_tell_yet():
    assert status_lines(status("starting"), NOW) == [
        "run: starting for 1 min 30 s; 0 ranks of 1 wanted (1 to 4), generation 0",
        "step 0 of 0",
        "last checkpoint: none yet",
        "restarts: none",
        "steps made again: 0 undone, 0 from a checkpoint; sparse updates: 0 steps lost, 0 made twice",
    ]


def test_what_happened_is_counted_by_name():
    text = "\n".join(status_lines(status(restarts={"worker lost": 2, "driver lost": 1}, undone_steps=1200), NOW))
    assert "restarts: 1 x driver lost, 2 x worker lost" in text
    assert "steps made again: 1,200 undone" in text


def test_an_ended_run_says_why_and_has_no_tables():
    lines = status_lines(
        status("failed", generation=3, error="the loss is nan", workers=(WorkerStatus(name="w", state="running"),)), NOW
    )
    assert lines[0] == "run: failed after generation 3"
    assert lines[-1] == "error: the loss is nan"


def test_workers_and_servers_have_a_table_each_with_dashes_for_what_is_not_known():
    workers = (
        WorkerStatus(
            name="worker-0", state="running", pid=7, rank=0, phase="saving", step=1000, beat_age_s=0.25, starts=2
        ),
        WorkerStatus(name="worker-1", state="warming"),
    )
    servers = (ServerStatus(index=0, address="h:1", state="serving", silent_s=0.5, step=999, rows=12_345),)
    tables = status_lines(status(workers=workers, servers=servers), NOW)[5:]
    assert [line.split() for line in tables] == [
        [],
        ["worker", "state", "pid", "rank", "step", "doing", "last", "sign", "of", "life", "starts"],
        ["worker-0", "running", "7", "0", "1,000", "saving", "0.2", "s", "ago", "2"],
        ["worker-1", "warming", "-", "-", "-", "-", "-", "0"],
        [],
        ["server", "state", "last", "answer", "step", "rows", "resident", "starts"],
        ["0", "h:1", "serving", "0.5", "s", "ago", "999", "12,345", "0", "B", "1"],
    ]


def test_a_lost_driver_is_in_the_first_line_with_what_to_do():
    [line, *_] = status_lines(status(), NOW + 75, remedy="Start it again")
    assert line.startswith(
        "run: its driver has written nothing for 1 min 15 s (it was running). Start it again; 0 ranks"
    )


@pytest.mark.parametrize(
    ("state", "age_s", "stale_s", "expected"),
    [
        ("running", 15.0, 15.0, False),
        ("running", 15.1, 15.0, True),
        ("running", 30.0, 45.0, False),
        ("running", -5.0, 15.0, False),  # written by a clock that is ahead
        ("stopping", 16.0, 15.0, True),
        ("done", 1e6, 15.0, False),
        ("stopped", 1e6, 15.0, False),
        ("failed", 1e6, 15.0, False),
    ],
)
def test_a_run_that_should_go_on_and_says_nothing_is_stale(state, age_s, stale_s, expected):
    assert is_stale(status(state), NOW + age_s, stale_s=stale_s) == expected
