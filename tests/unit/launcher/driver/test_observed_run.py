"""The status of a run, put together from what agents, servers and journal know. Nothing is asked, nothing runs."""

import os
import time
from typing import Any

import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.driver.agent_directory import FileDirectory
from launcher.driver.agent_watch import SILENT_S, AgentView, AgentWatch
from launcher.driver.config import DriverConfig
from launcher.driver.event_journal import EventJournal
from launcher.driver.observed_run import ObservedRun, worker_status
from launcher.driver.server_watch import ServerWatch
from launcher.run_files.run_status import WorkerStatus
from tests.unit.launcher.driver.agent_views import NOW, ready_view, view_of

STALL_S = 30.0


class Observed:
    def __init__(self, folder: Any) -> None:
        self.agents = AgentWatch(
            directory=FileDirectory(folder / "agents.json"), token=None, on_event=lambda *_: None, tls=None
        )
        config = DriverConfig(
            run=str(folder), servers="h:1,h:2", agents_file=folder / "a", token_file=folder / "t", max_workers=4
        )
        run = Folder.open(folder)
        self.journal = EventJournal(run, NoProgress())
        self.run = ObservedRun(run, config, self.agents, ServerWatch(config, lambda _: None), self.journal)

    def see(self, *views: AgentView) -> None:
        self.agents.views = {view.name: view for view in views}


@pytest.fixture
def observed(tmp_path) -> Observed:
    return Observed(tmp_path)


def now_running(name: str, **facts: Any) -> AgentView:
    return view_of(name, answered_at=time.monotonic(), facts=facts)


def test_before_anything_has_happened_a_run_is_starting(observed, tmp_path):
    before = time.time()
    status = observed.run.status()
    assert (status.run, status.state, status.driver_pid) == (str(tmp_path), "starting", os.getpid())
    assert (status.step, status.total_steps, status.ranks, status.workers, status.restarts) == (0, 0, 0, (), {})
    assert (status.min_workers, status.max_workers, status.wanted_workers) == (1, 4, 1)
    assert [server.address for server in status.servers] == ["h:1", "h:2"]
    assert before <= status.written_at <= time.time()


def test_the_runs_step_is_never_older_than_its_workers(observed):
    observed.see(
        now_running("worker-1", rank=0, step=753, total_steps=2799),
        now_running("worker-0", rank=1, step=752, total_steps=2799),
    )
    status = observed.run.status()
    assert (status.step, status.total_steps, status.ranks) == (753, 2799, 2)
    assert [(worker.name, worker.step) for worker in status.workers] == [("worker-0", 752), ("worker-1", 753)]


def test_the_journals_totals_and_the_starts_are_in_the_status(observed):
    observed.journal.add("worker_lost", worker="worker-0")
    observed.run.starts["worker-0"] += 2
    observed.see(now_running("worker-0"))
    status = observed.run.status()
    assert status.restarts == {"worker lost": 1}
    assert status.workers[0].starts == 2


def test_the_speed_is_shown_while_the_run_goes_on(observed):
    for impressions in (100, 900):
        observed.see(now_running("worker-0", rank=0, impressions=impressions))
        observed.run.update()
        time.sleep(0.001)
    assert observed.run.status().impressions_per_second == 0.0
    observed.run.state = "running"
    assert observed.run.status().impressions_per_second > 0.0


@pytest.mark.parametrize(
    ("step", "total", "is_done"), [(0, 0, False), (9, 10, False), (10, 10, True), (11, 10, True), (3, 0, False)]
)
def test_a_training_is_done_when_all_its_steps_are_made(observed, step, total, is_done):
    observed.see(now_running("worker-0", rank=0, step=step, total_steps=total))
    observed.run.update()
    assert observed.run.is_done is is_done


def test_the_last_step_of_a_worker_counts_even_if_it_was_not_read_while_the_worker_ran(observed):
    observed.see(now_running("worker-0", rank=0, step=9, total_steps=10))
    observed.run.update()
    observed.see()
    observed.run.note_facts({"rank": 0, "step": 10, "total_steps": 10})
    assert observed.run.status().step == 10
    assert observed.run.is_done


def test_a_step_forgives_the_losses_before_it(observed):
    for _ in range(5):
        assert observed.run.note_loss("worker-1", "gone") == ""
    observed.see(now_running("worker-0", rank=0, step=1))
    observed.run.update()
    assert observed.run.note_loss("worker-1", "gone") == ""
    for _ in range(4):
        observed.run.note_loss("worker-1", "gone")
    assert observed.run.note_loss("worker-1", "gone").startswith("worker-1 was lost 6 times")


def test_a_heartbeat_says_who_has_been_silent_for_how_long(observed):
    observed.see(view_of("worker-0", answered_at=time.monotonic() - 4.0))
    heartbeat = observed.run.heartbeat()
    assert heartbeat.state == "starting"
    assert heartbeat.silent_agents["worker-0"] == pytest.approx(4.0, abs=0.5)
    assert heartbeat.silent_servers == {0: pytest.approx(0.0, abs=0.5), 1: pytest.approx(0.0, abs=0.5)}


def test_workers_that_cannot_get_ready_are_named_with_the_directorys_trouble(observed, monkeypatch):
    assert observed.run.warming_problems() == ""
    never = ready_view("worker-2")
    never.status = None
    observed.see(ready_view("worker-0"), ready_view("worker-1", state="warming", warm_error="no tensorflow"), never)
    assert observed.run.warming_problems() == "worker-1 cannot get ready: no tensorflow"
    monkeypatch.setattr(FileDirectory, "trouble", lambda self: "the pods cannot be listed")
    assert observed.run.warming_problems().endswith("no tensorflow; the pods cannot be listed")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"state": "warming", "running": False}, "warming"),
        ({"state": "ready", "running": False}, "ready"),
        ({"state": "draining", "draining": True, "running": False}, "draining"),
        ({}, "running"),
        ({"draining": True, "state": "draining"}, "draining"),
        ({"beat_age_s": 5.0}, "running"),
        ({"beat_age_s": 5.1}, "stalled"),
        ({"beat_age_s": None}, "running"),  # it has only just been started
    ],
)
def test_a_workers_state_is_what_its_agent_says_unless_it_stalls(changes, state):
    assert worker_status(view_of(**changes), NOW, STALL_S, 1).state == state


def test_with_a_short_limit_a_worker_is_shown_as_stalled_before_it_is_killed():
    assert worker_status(view_of(beat_age_s=1.1), NOW, stall_seconds=2.0, starts=1).state == "stalled"
    assert worker_status(view_of(beat_age_s=1.0), NOW, stall_seconds=2.0, starts=1).state == "running"


def test_an_agent_that_is_silent_says_nothing_of_its_worker():
    view = view_of(facts={"rank": 0, "step": 5})
    assert worker_status(view, NOW + SILENT_S, STALL_S, 3).rank == 0
    assert worker_status(view, NOW + SILENT_S + 0.1, STALL_S, 3) == WorkerStatus(name="worker-0", state="silent")
    view.status = None
    assert worker_status(view, NOW, STALL_S, 3) == WorkerStatus(name="worker-0", state="starting")


def test_facts_of_a_run_that_has_ended_are_not_shown():
    found = worker_status(ready_view("worker-0", facts={"rank": 0, "step": 5}), NOW, STALL_S, 3)
    assert found == WorkerStatus(name="worker-0", state="ready", starts=3)


def test_a_running_worker_is_shown_with_its_place_and_its_heartbeat():
    found = worker_status(
        view_of(facts={"rank": 1, "step": 5, "phase": "saving"}, beat_age_s=0.44), NOW, STALL_S, starts=2
    )
    assert found == WorkerStatus(
        name="worker-0", state="running", pid=11, rank=1, phase="saving", step=5, beat_age_s=0.4, starts=2
    )
    assert worker_status(view_of(), NOW, STALL_S, starts=1).phase == "starting"
