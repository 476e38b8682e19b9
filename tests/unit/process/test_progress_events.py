"""Progress that goes from one process to another as lines."""

import io
import json

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.process.progress_events import MARK, JsonProgress, replay, split_event
from esmm_dist.progress import NoProgress
from launcher.terminal.progress import make_progress


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def events(out):
    found = []
    for line in out.getvalue().removesuffix("\n").split("\n"):  # splitlines would cut at the mark too
        before, event = split_event(line)
        assert before == ""
        found.append(json.loads(event))
    return found


def test_what_is_written_is_replayed_the_same(clock):
    def work(progress):
        progress.start("träin", 10, "steps")
        progress.advance(3, "loss 0.5")
        progress.message("two\nlines")
        progress.start("read", None, "B")
        progress.finish()

    first, second = io.StringIO(), io.StringIO()
    work(JsonProgress(first, clock=clock))
    again = JsonProgress(second, clock=clock)
    lines = first.getvalue().split("\n")[:-1]
    assert len(lines) == 5
    assert all(replay(split_event(line)[1], again) for line in lines)
    assert second.getvalue() == first.getvalue()


def test_advances_come_at_most_ten_times_a_second_and_none_is_lost(clock):
    out = io.StringIO()
    progress = JsonProgress(out, clock=clock)
    progress.start("train", 100, "steps")
    for i in range(100):
        progress.advance(1, f"loss {i}")
        clock.seconds += 0.01
    progress.finish()
    found = events(out)
    advances = [e for e in found if e["event"] == "advance"]
    assert sum(e["amount"] for e in advances) == 100
    # One at once, one in each of the other nine tenths of the second, and what is left at the end.
    assert 10 <= len(advances) <= 12
    assert advances[-1]["note"] == "loss 99"
    assert found[-1] == {"event": "finish"}


def test_what_is_left_of_a_task_is_told_before_the_next_begins(clock):
    out = io.StringIO()
    progress = JsonProgress(out, clock=clock)
    for task in ("one", "two"):
        progress.start(task, 2, "x")
        progress.advance(1)
        progress.advance(1)
    kinds = [e["event"] for e in events(out)]
    assert kinds == ["start", "advance", "advance", "start"]  # the clock stands: the second task's are not due yet


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"event": "jump"}', '{"event": "advance", "amount": "x", "note": ""}', '{"event": "start"}'],
)
def test_other_text_is_no_event(text):
    assert not replay(text, NoProgress())


def test_a_line_is_cut_at_the_mark():
    assert split_event("plain") == ("plain", "")
    assert split_event(f"before{MARK}event") == ("before", "event")


def test_the_environment_asks_for_events_and_an_unknown_form_is_refused(monkeypatch):
    monkeypatch.setenv("ESMM_PROGRESS", "json")
    assert isinstance(make_progress(io.StringIO()), JsonProgress)
    monkeypatch.setenv("ESMM_PROGRESS", "xml")
    with pytest.raises(ConfigError, match="ESMM_PROGRESS is 'xml'"):
        make_progress(io.StringIO())
    monkeypatch.setenv("ESMM_PROGRESS", "")
    assert not isinstance(make_progress(io.StringIO()), JsonProgress)
