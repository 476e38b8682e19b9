"""What a user sees of several processes, and what is kept of it."""

import io
from pathlib import Path

import pytest

from esmm_dist.process.progress_events import MARK, JsonProgress
from esmm_dist.progress import Progress
from launcher.local.screen import Screen
from launcher.run_files.log_files import LogFiles


class Recorded(Progress):
    """What a progress listener is told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self.events.append(("start", task, total, unit, done))

    def advance(self, amount: float, note: str = "") -> None:
        self.events.append(("advance", amount, note))

    def message(self, text: str) -> None:
        self.events.append(("message", text))

    def finish(self) -> None:
        self.events.append(("finish",))


@pytest.fixture
def shown() -> Recorded:
    return Recorded()


@pytest.fixture
def screen(shown) -> Screen:
    return Screen(shown, ["server 0", "driver"], colours=False)


def events_of(write) -> list[str]:
    """Return the lines that a process writes for its progress."""
    stream = io.StringIO()
    write(JsonProgress(stream))
    return stream.getvalue().rstrip("\n").split("\n")


def test_lines_have_the_name_of_their_process_in_front_all_names_as_wide(screen, shown):
    screen.log("server 0", "listening", leads=False)
    screen.log("driver", "", leads=False)
    screen.log("driver", "a", leads=False)
    assert shown.events == [
        ("message", "server 0 | listening"),
        ("message", "driver   |"),
        ("message", "driver   | a"),
    ]


def test_each_name_has_a_colour_on_a_terminal(shown):
    screen = Screen(shown, ["a", "b"], colours=True)
    screen.log("a", "x", leads=False)
    screen.log("b", "x", leads=False)
    assert [event[1] for event in shown.events] == ["\x1b[36ma |\x1b[0m x", "\x1b[35mb |\x1b[0m x"]


def test_a_colour_comes_again_after_the_last(shown):
    names = [f"worker-{i}" for i in range(11)]
    screen = Screen(shown, names, colours=True)
    for name in (names[0], names[10]):
        screen.log(name, "x", leads=False)
    assert shown.events[0][1] == "\x1b[36mworker-0  |\x1b[0m x"
    assert shown.events[1][1] == "\x1b[36mworker-10 |\x1b[0m x"


def test_the_bar_of_who_leads_is_the_bar_of_all_and_that_of_others_is_not_shown(screen, shown):
    def work(progress: Progress) -> None:
        progress.start("train", 4, "steps")
        progress.advance(1, "loss 0.5")
        progress.message("saved\nstep 4")
        progress.finish()

    for line in events_of(work):
        screen.log("driver", line, leads=True)
    whole = [("start", "train", 4, "steps", 0.0), ("advance", 1.0, "loss 0.5"), ("finish",)]
    assert [event for event in shown.events if event[0] != "message"] == whole
    shown.events.clear()
    for line in events_of(work):
        screen.log("server 0", line, leads=False)
    assert shown.events == [("message", "server 0 | saved"), ("message", "server 0 | step 4")]


def test_a_log_line_before_an_event_and_a_broken_event_are_both_shown(screen, shown):
    screen.log("driver", f'no end{MARK}{{"event": "finish"}}', leads=True)
    screen.log("driver", f"{MARK}{{oops", leads=True)
    assert shown.events == [("finish",), ("message", "driver   | no end"), ("message", "driver   | {oops")]


def test_what_is_shown_is_kept_by_process_and_what_esmm_local_says_under_local(screen, tmp_path: Path):
    screen.logs = LogFiles(tmp_path / "logs", lambda text: None)
    screen.log("server 0", "listening", leads=False)
    screen.say("worker-1 ended (1); starting it again.")
    screen.keep("driver", "Trained.")
    screen.logs.close()
    kept = {path.stem: path.read_text().split(" ", 1)[1] for path in (tmp_path / "logs").iterdir()}
    assert kept == {
        "server-0": "listening\n",
        "local": "worker-1 ended (1); starting it again.\n",
        "driver": "Trained.\n",
    }


def test_a_line_of_a_process_cannot_change_the_terminal(screen, shown):
    screen.log("driver", "a\x1b[2Jb", leads=False)
    assert "\x1b" not in shown.events[0][1]


def test_the_progress_line_ends(screen, shown):
    screen.end_progress()
    assert shown.events == [("finish",)]
