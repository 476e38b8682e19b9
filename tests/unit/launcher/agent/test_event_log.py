from launcher.agent import event_log
from launcher.agent.event_log import EventLog


def test_events_are_numbered_over_all_runs_and_know_their_run():
    log = EventLog()
    log.add(1, [{"event": "began"}, {"event": "saved", "step": 5}])
    log.add(2, [{"event": "began"}])
    assert log.after(0) == [
        {"event": "began", "number": 1, "id": 1},
        {"event": "saved", "step": 5, "number": 2, "id": 1},
        {"event": "began", "number": 3, "id": 2},
    ]
    assert [event["number"] for event in log.after(2)] == [3]
    assert log.after(3) == []


def test_the_oldest_events_are_dropped_and_the_numbers_go_on(monkeypatch):
    monkeypatch.setattr(event_log, "MOST_EVENTS", 2)
    log = EventLog()
    log.add(1, [{"event": name} for name in "abc"])
    assert [(event["event"], event["number"]) for event in log.after(0)] == [("b", 2), ("c", 3)]
