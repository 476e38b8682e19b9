"""The journal of a run: one file over the lives of all drivers, which grows by lines or is written in whole."""

import json

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.driver.event_journal import PUBLISH_S, EventJournal

NOW = 1_700_000_000.0


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Store(Folder):
    """A folder of an object store, on paper."""

    def __init__(self) -> None:
        self.data = b""
        self.written = 0
        self.refuses = False

    is_local = False

    def read_bytes(self, name: str) -> bytes:
        if not self.data:
            raise FileNotFoundError(name)
        return self.data

    def write_bytes(self, name: str, data: bytes, **more: object) -> None:
        if self.refuses:
            raise StorageError("bucket: no access.")
        self.data, self.written = data, self.written + 1


@pytest.fixture
def run(tmp_path) -> Folder:
    return Folder.open(tmp_path)


@pytest.fixture
def clock(monkeypatch):
    """Let so many seconds pass."""
    now = [1000.0]
    monkeypatch.setattr("launcher.driver.event_journal.time.monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def events(data: bytes | str) -> list[str]:
    return [json.loads(line)["event"] for line in data.splitlines()]


def test_an_event_is_a_line_with_its_time_in_utc(run, tmp_path):
    EventJournal(run, NoProgress()).add("worker_lost", worker="worker-1", step=7)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"event": "worker_lost", "worker": "worker-1", "step": 7}


def test_a_journal_goes_on_where_a_killed_driver_left_it(run, tmp_path):
    first = EventJournal(run, NoProgress())
    first.add("worker_lost", worker="worker-1")
    first.add("went_on", undone_steps=1, lost_sparse_steps=2)
    first.add("rolled_back", from_step=50, to_step=40)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "half a li')
    second = EventJournal(run, NoProgress())
    second.add("worker_stalled", worker="worker-0")
    totals = second.totals()
    assert totals["restarts"] == {"worker lost": 1, "worker stalled": 1}
    assert (totals["undone_steps"], totals["lost_sparse_steps"], totals["rolled_back_steps"]) == (1, 2, 10)
    assert events((tmp_path / "events.jsonl").read_text()) == [
        "worker_lost",
        "went_on",
        "rolled_back",
        "worker_stalled",
    ]


def test_lines_that_are_no_events_are_skipped(run, tmp_path):
    (tmp_path / "events.jsonl").write_bytes(b'[1]\n{"event": "worker_lost"}\n\xff\xfe\n')
    journal = EventJournal(run, NoProgress())
    assert journal.totals()["restarts"] == {"worker lost": 1}
    assert len(journal.newest(9)) == 1


def test_an_event_of_a_worker_is_kept_once_whichever_driver_hears_it(run):
    event = {"number": 1, "id": 1, "time": NOW, "event": "saved", "step": 40}
    assert EventJournal(run, NoProgress()).add_of_worker("worker-0", "instance-10", event)
    second = EventJournal(run, NoProgress())
    assert not second.add_of_worker("worker-0", "instance-10", event)
    assert second.add_of_worker("worker-0", "instance-11", event)  # another agent counts anew
    assert second.add_of_worker("worker-1", "instance-10", event)  # and another worker has its own
    assert (second.totals()["checkpoint_step"], second.totals()["checkpoint_at"]) == (40, NOW)


def test_an_event_of_a_worker_keeps_its_own_time_and_says_whose_it_is(run):
    journal = EventJournal(run, NoProgress())
    journal.add_of_worker("worker-0", "i", {"number": 4, "id": 2, "time": 0.25, "event": "saved", "step": 3})
    assert json.loads(journal.newest(1)[0]) == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "event": "saved",
        "worker": "worker-0",
        "agent": "i",
        "number": 4,
        "step": 3,
    }


def test_the_newest_lines_are_returned_in_their_order(run):
    journal = EventJournal(run, NoProgress())
    for name in "abc":
        journal.add(name)
    assert [json.loads(line)["event"] for line in journal.newest(2)] == ["b", "c"]


def test_a_disk_that_refuses_is_told_and_the_event_still_counts(tmp_path):
    run, messages = Folder.open(tmp_path), Messages()
    journal = EventJournal(run, messages)
    (tmp_path / "events.jsonl").mkdir()  # no file can be opened there
    journal.add("worker_lost")
    assert journal.totals()["restarts"] == {"worker lost": 1}
    assert len(messages.texts) == 1
    assert messages.texts[0].startswith("events.jsonl cannot be written: ")


def test_a_store_gets_all_lines_at_most_every_five_seconds(clock):
    store = Store()
    journal = EventJournal(store, NoProgress())
    journal.publish()
    assert store.written == 0  # nothing has happened
    journal.add("a")
    journal.publish()
    assert events(store.data) == ["a"]
    journal.add("b")
    clock(PUBLISH_S - 0.1)
    journal.publish()
    assert store.written == 1
    clock(0.1)
    journal.publish()
    assert (store.written, events(store.data)) == (2, ["a", "b"])
    journal.add("c")
    journal.publish(now=True)
    assert events(store.data) == ["a", "b", "c"]


def test_a_store_that_refuses_is_told_and_gets_the_lines_later(clock):
    store, messages = Store(), Messages()
    journal = EventJournal(store, messages)
    journal.add("a")
    store.refuses = True
    journal.publish()
    assert messages.texts == ["events.jsonl cannot be written: bucket: no access."]
    store.refuses = False
    clock(PUBLISH_S)
    journal.publish()
    assert events(store.data) == ["a"]
