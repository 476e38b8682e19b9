"""The verbs of a job hand on what a user has typed, and report what they hand back."""

from typing import Any

import pytest

from launcher.command import Outcome
from launcher.commands import jobs as commands
from launcher.jobs.config import (
    CancelConfig,
    DeleteConfig,
    JobsConfig,
    LogsConfig,
    ResumeConfig,
    ScaleConfig,
    StatusConfig,
)
from launcher.run_files.job import JobRow, JobStatus
from tests.unit.launcher.commands.played_context import Messages, make_context

DONE = Outcome(lines=["It is done."], result={"n": 1})


class PlayedJob:
    """A job that remembers what it was asked."""

    def __init__(self) -> None:
        self.found: tuple[Any, ...] = ()
        self.asked: list[Any] = []
        self.states = [JobStatus(job="nightly", where="namespace ml", state="running")]

    def _note(self, verb: str, wait: Any, *rest: Any) -> Outcome:
        self.asked.append((verb, wait.timeout_s, wait.progress, *rest))
        return DONE

    def scale_workers(self, count, wait):
        return self._note("workers", wait, count)

    def scale_servers(self, count, wait):
        return self._note("servers", wait, count)

    def cancel(self, wait, *, now):
        return self._note("cancel", wait, now)

    def resume(self, wait, run_line):
        return self._note("resume", wait, run_line)

    def delete(self, wait, *, keep_data):
        return self._note("delete", wait, keep_data)

    def status(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def logs(self, which, *, follow, tail, say):
        self.asked.append((which, follow, tail))
        say("waiting for the pod")
        yield "first"
        yield "second \x1b[31m"


@pytest.fixture
def job(monkeypatch):
    made = PlayedJob()

    def find(word, namespace):
        made.found = (word, namespace)
        return made

    monkeypatch.setattr(commands, "find_job", find)
    return made


def run_line(line):
    raise AssertionError(line)


@pytest.mark.parametrize(
    ("command", "settings", "asked"),
    [
        (commands.scale_command, ScaleConfig(job="j", workers=3, wait_s=7), ("workers", 7, 3)),
        (commands.scale_command, ScaleConfig(job="j", servers=2), ("servers", 120, 2)),
        (commands.cancel_command, CancelConfig(job="j"), ("cancel", 600, False)),
        (commands.cancel_command, CancelConfig(job="j", now=True, wait_s=0), ("cancel", 0, True)),
        (commands.resume_command, ResumeConfig(job="j", wait_s=5), ("resume", 5, run_line)),
        (commands.delete_command, DeleteConfig(job="j"), ("delete", 300, True)),
        (commands.delete_command, DeleteConfig(job="j", keep_data=False), ("delete", 300, False)),
    ],
)
def test_a_verb_is_handed_on_with_the_time_to_wait_and_its_outcome_is_the_commands(job, command, settings, asked):
    progress = Messages()
    assert command(settings, make_context(progress, run_line=run_line)) is DONE
    verb, wait_s, *rest = asked
    assert job.asked == [(verb, wait_s, progress, *rest)]
    assert job.found == ("j", None)


def test_a_namespace_makes_it_a_job_of_a_cluster(job):
    commands.cancel_command(CancelConfig(job="j", namespace="ml"), make_context())
    assert job.found == ("j", "ml")


def test_lines_of_a_process_are_printed_as_they_come_and_counted(job, capsys):
    progress = Messages()
    outcome = commands.logs_command(LogsConfig(job="j", rank=0, tail=2), make_context(progress))
    assert job.asked == [("rank-0", False, 2)]
    assert progress.texts == ["waiting for the pod"]
    first, second = capsys.readouterr().out.splitlines()
    assert first == "first"
    assert "\x1b" not in second  # a log must not drive the terminal
    assert (outcome.lines, outcome.result) == ([], {"lines": 2})


def test_the_state_of_a_job_is_reported_as_it_was_read_last(job, capsys, monkeypatch):
    states = [JobStatus(job="nightly", where="namespace ml", state=state) for state in ("pending", "running", "done")]
    job.states = states[:1]
    once = commands.status_command(StatusConfig(job="j"), make_context())
    assert once.result["state"] == "pending"
    assert any("pending" in line for line in once.lines)
    assert capsys.readouterr() == ("", "")
    job.states = list(states)

    def status():
        if not job.states:
            raise KeyboardInterrupt
        return job.states.pop(0)

    monkeypatch.setattr(job, "status", status)
    assert commands.status_command(StatusConfig(job="j", watch=1e-3), make_context()).result["state"] == "done"
    shown = capsys.readouterr().err
    assert "running" in shown
    assert "Ctrl-C ends" in shown


ROWS = [
    JobRow(job="nightly", where="ml", task="train", state="running", ranks=4, step=1200, total_steps=5000, since="1 h"),
    JobRow(job="prep", where="ml", task="preprocess", state="done"),
    JobRow(job="runs/a", where="local", task="train", state="stopped", ranks=2, step=7),
]


@pytest.fixture
def rows(monkeypatch):
    """Let a cluster hold the first two jobs, and this machine the third."""
    known = {"cluster": False}
    asked: list[Any] = []

    def cluster_jobs(api, *, everywhere):
        asked.append((api, everywhere))
        return ROWS[:2]

    monkeypatch.setattr("launcher.cluster.api.connect.cluster_is_known", lambda: known["cluster"])
    monkeypatch.setattr("launcher.cluster.api.connect.connect", lambda namespace: f"api of {namespace}")
    monkeypatch.setattr("launcher.cluster.jobs.cluster_jobs", cluster_jobs)
    monkeypatch.setattr("launcher.jobs.list_runs.local_runs", lambda folder: ROWS[2:])
    return known, asked


def test_jobs_of_the_cluster_and_runs_of_this_machine_are_one_table(rows):
    known, asked = rows
    known["cluster"] = True
    progress = Messages()
    outcome = commands.jobs_command(JobsConfig(), make_context(progress))
    assert [" ".join(line.split()) for line in outcome.lines] == [
        "job namespace task state ranks step submitted",
        "nightly ml train running 4 1,200 of 5,000 1 h",
        "prep ml preprocess done - - -",
        "runs/a local train stopped 2 7 -",
    ]
    assert [each["job"] for each in outcome.result["jobs"]] == ["nightly", "prep", "runs/a"]
    assert asked == [("api of None", False)]
    assert progress.texts == []


def test_without_a_cluster_the_runs_below_this_folder_are_listed_and_said_to_be_all(rows):
    _, asked = rows
    progress = Messages()
    outcome = commands.jobs_command(JobsConfig(), make_context(progress))
    assert [each["job"] for each in outcome.result["jobs"]] == ["runs/a"]
    assert progress.texts == [
        "No cluster is known (no KUBECONFIG, no ~/.kube/config): these are the runs in folders below this one."
    ]
    assert asked == []


def test_a_namespace_leaves_the_runs_of_this_machine_out(rows):
    _, asked = rows
    outcome = commands.jobs_command(JobsConfig(namespace="other"), make_context())
    assert [each["job"] for each in outcome.result["jobs"]] == ["nightly", "prep"]
    assert asked == [("api of other", False)]


def test_all_namespaces_are_asked_for_where_no_cluster_is_known_by_itself(rows):
    _, asked = rows
    commands.jobs_command(JobsConfig(all_namespaces=True), make_context())
    assert asked == [("api of None", True)]


def test_no_job_at_all_is_said(rows, monkeypatch):
    monkeypatch.setattr("launcher.jobs.list_runs.local_runs", lambda folder: [])
    outcome = commands.jobs_command(JobsConfig(), make_context())
    assert outcome.lines == ["There are no jobs, and no runs in folders below this one."]
    assert outcome.result == {"jobs": []}
