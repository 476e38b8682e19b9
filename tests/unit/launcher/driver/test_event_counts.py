"""What the events of a run add up to."""

import pytest

from launcher.driver.event_counts import EventCounts
from launcher.run_files.run_status import RunStatus


def counted(*events: dict) -> dict:
    counts = EventCounts()
    for event in events:
        counts.add(event)
    return counts.totals()


def test_without_events_there_is_nothing_and_each_total_has_its_place_in_the_status():
    totals = counted()
    assert totals == {
        "checkpoint_step": None,
        "checkpoint_at": None,
        "evaluation": {},
        "restarts": {},
        "undone_steps": 0,
        "lost_sparse_steps": 0,
        "repeated_sparse_steps": 0,
        "rolled_back_steps": 0,
    }
    RunStatus(run="r", state="running", written_at=1.0, started_at=1.0, driver_pid=1, **totals)


def test_losses_count_by_the_names_of_the_status_and_other_events_do_not():
    names = ["worker_lost", "worker_lost", "worker_stalled", "worker_left", "agent_lost", "server_lost", "driver_lost"]
    found = counted(*({"event": name} for name in [*names, "worker_started", "met", "done"]), {"no": "event"})
    assert found["restarts"] == {
        "worker lost": 2,
        "worker stalled": 1,
        "worker left": 1,
        "worker host lost": 1,
        "server lost": 1,
        "driver lost": 1,
    }


def test_the_newest_checkpoint_and_evaluation_count():
    found = counted(
        {"event": "saved", "step": 10, "time": "1970-01-01T00:00:05+00:00"},
        {"event": "evaluated", "step": 10, "split": "test", "auc": {"ctr": [0.5, 0.1]}, "worker": "worker-0"},
        {"event": "saved", "step": 20, "time": "1970-01-01T00:01:05.500+00:00"},
        {"event": "evaluated", "step": 20, "split": "test", "auc": {"ctr": [0.6, 0.1]}, "worker": "worker-0"},
    )
    assert (found["checkpoint_step"], found["checkpoint_at"]) == (20, 65.5)
    assert found["evaluation"] == {"step": 20, "split": "test", "auc": {"ctr": [0.6, 0.1]}}


def test_what_a_change_of_ranks_costs_adds_up():
    found = counted(
        {"event": "went_on", "undone_steps": 1},
        {"event": "went_on", "undone_steps": 0, "lost_sparse_steps": 2, "repeated_sparse_steps": 3},
        {"event": "went_on", "undone_steps": 1, "lost_sparse_steps": 1},
    )
    assert (found["undone_steps"], found["lost_sparse_steps"], found["repeated_sparse_steps"]) == (2, 3, 3)


@pytest.mark.parametrize(
    ("events", "steps"),
    [
        ([{"event": "all_restarted", "step": 57}, {"event": "began", "step": 40}], 17),
        ([{"event": "began", "step": 40}], 0),  # a start that follows no loss
        ([{"event": "all_restarted", "step": 40}, {"event": "began", "step": 40}], 0),  # saved just before
        ([{"event": "all_restarted", "step": 57}] + 2 * [{"event": "began", "step": 40}], 17),  # counted once
        ([{"event": "rolled_back", "from_step": 50, "to_step": 40}], 10),
        ([{"event": "rolled_back", "from_step": 40, "to_step": 50}], 0),
    ],
)
def test_steps_that_are_made_again_from_a_checkpoint_are_counted(events, steps):
    assert counted(*events)["rolled_back_steps"] == steps


def test_totals_are_a_copy():
    counts = EventCounts()
    totals = counts.totals()
    counts.add({"event": "worker_lost"})
    assert totals["restarts"] == {}
