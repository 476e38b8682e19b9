"""Lines from a pipe's bytes, and how they are shown."""

import os

from launcher.local.screen import Screen
from launcher.processes.lines import LONGEST_LINE_BYTES, LineSplitter
from launcher.terminal.progress_events import MARK


class Recorder:
    """Keeps what is reported."""

    def __init__(self):
        self.seen = []

    def start(self, task, total, unit, done=0.0):
        self.seen.append(("start", task, total, unit))

    def advance(self, amount, note=""):
        self.seen.append(("advance", amount, note))

    def message(self, text):
        self.seen.append(text)

    def finish(self):
        self.seen.append("finish")


def test_a_line_that_comes_in_pieces_is_one_line():
    splitter = LineSplitter()
    assert splitter.feed(b"ab") == []
    assert splitter.feed(b"c\nd\n\xc3") == ["abc", "d"]
    assert splitter.feed(b"\xa4\r\n") == ["ä"]
    assert splitter.end() == []


def test_the_end_of_a_pipe_ends_the_line():
    splitter = LineSplitter()
    splitter.feed(b"abc")
    assert splitter.end() == ["abc"]
    assert splitter.end() == []


def test_bytes_that_are_no_text_are_kept_and_a_bar_shows_its_last_state():
    assert LineSplitter().feed(b"\xff\n10%\r20%\r100%\r\n") == [os.fsdecode(b"\xff"), "100%"]


def test_a_line_without_end_is_cut():
    splitter = LineSplitter()
    assert [len(line) for line in splitter.feed(b"x" * (2 * LONGEST_LINE_BYTES + 5))] == [LONGEST_LINE_BYTES] * 2
    assert splitter.end() == ["xxxxx"]


def test_names_are_aligned_and_coloured_only_on_request():
    names = ["server 0", "worker 10"]
    plain, coloured = Recorder(), Recorder()
    Screen(plain, names, colours=False).log("server 0", "hello", leads=False)
    Screen(coloured, names, colours=True).log("worker 10", "hello", leads=False)
    assert plain.seen == ["server 0  | hello"]
    assert coloured.seen == ["\x1b[35mworker 10 |\x1b[0m hello"]


def test_progress_of_the_leader_is_replayed_and_that_of_others_only_as_messages():
    recorder = Recorder()
    screen = Screen(recorder, ["worker 0", "worker 1"], colours=False)
    for name in ("worker 0", "worker 1"):
        for event in (
            '{"event": "start", "task": "train", "total": 4, "unit": "steps", "done": 0}',
            '{"event": "advance", "amount": 2, "note": "loss 1"}',
            '{"event": "message", "text": "one\\ntwo"}',
            '{"event": "finish"}',
        ):
            screen.log(name, MARK + event, leads=name == "worker 0")
    assert recorder.seen == [
        ("start", "train", 4, "steps"),
        ("advance", 2, "loss 1"),
        "worker 0 | one",
        "worker 0 | two",
        "finish",
        "worker 1 | one",
        "worker 1 | two",
    ]


def test_a_log_line_before_an_event_and_a_broken_event_are_both_shown():
    recorder = Recorder()
    screen = Screen(recorder, ["w"], colours=False)
    screen.log("w", f'no end{MARK}{{"event": "finish"}}', leads=True)
    screen.log("w", f"{MARK}{{oops", leads=True)
    screen.log("w", "", leads=True)
    assert recorder.seen == ["finish", "w | no end", "w | {oops", "w |"]
