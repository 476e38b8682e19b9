"""What the log of a run's driver tells."""

from dataclasses import replace
from typing import Any

import pytest

from esmm_dist.progress import NoProgress
from launcher.run_files.run_report import RunReport
from launcher.run_files.run_status import RunStatus, WorkerStatus


class Lines(NoProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)

    def new(self) -> list[str]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def lines() -> Lines:
    return Lines()


def status(step: int, ranks: int = 1, **changes: Any) -> RunStatus:
    workers = tuple(WorkerStatus(name=f"worker-{i}", state="running", phase="training") for i in range(ranks))
    whole: dict[str, Any] = {"run": "run", "state": "running", "written_at": 0.0, "started_at": 0.0, "driver_pid": 1}
    whole |= {"ranks": ranks, "step": step, "total_steps": 1000, "workers": workers}
    return RunStatus(**{**whole, **changes})


def test_ranks_checkpoints_and_evaluations_are_told_once(lines):
    report = RunReport(lines)
    report.report(status(0, ranks=2, wanted_workers=3), 0.0)
    assert lines.new() == ["2 ranks train of 3 wanted, at step 0"]
    now = status(100, ranks=1, wanted_workers=1, checkpoint_step=100)
    report.report(now, 1.0)
    assert lines.new() == ["Step 100 is saved"]
    report.report(now, 3.0)
    assert lines.new() == ["1 rank trains, at step 100"]
    evaluated = replace(now, evaluation={"step": 100, "split": "test", "auc": {"ctr": [0.6, 0.01]}})
    report.report(evaluated, 4.0)
    report.report(evaluated, 5.0)
    assert lines.new() == ["AUC on test at step 100: ctr 0.6000 ± 0.0100"]


def test_every_fifteen_seconds_the_log_says_how_far_the_run_is_and_when_it_ends(lines):
    report = RunReport(lines)
    report.report(status(0), 0.0)
    for second in range(1, 31):
        report.report(status(10 * second), float(second))
    assert lines.new()[1:] == [
        "step 150 of 1,000 (15%), ends in about 1 min 25 s",
        "step 300 of 1,000 (30%), ends in about 1 min 10 s",
    ]


def test_the_end_is_not_estimated_from_steps_that_were_undone(lines):
    report = RunReport(lines)
    for second, step in ((0, 0), (10, 500), (16, 100), (32, 260)):
        report.report(status(step), float(second))
    assert lines.new()[-1] == "step 260 of 1,000 (26%), ends in about 1 min 14 s"


def test_ranks_that_end_one_after_the_other_are_no_change(lines):
    report = RunReport(lines)
    report.report(status(990, ranks=2), 0.0)
    report.report(status(1000, ranks=1), 1.0)
    report.report(status(1000, ranks=0), 4.0)
    assert lines.new() == ["2 ranks train of 1 wanted, at step 990"]


def test_who_meets_or_saves_is_no_reason_for_a_line(lines):
    report = RunReport(lines)
    report.report(status(0, workers=(WorkerStatus(name="worker-0", state="running", phase="meeting"),)), 0.0)
    assert lines.new() == ["step 0 of 1,000 (0%)"]
    report.report(status(0, ranks=0, state="starting"), 20.0)
    assert lines.new() == []
