"""Progress in one line."""

import io

from esmm_dist.api.shown_progress import OneLineProgress, shown_progress
from esmm_dist.progress import NoProgress


def test_a_task_is_one_line_and_messages_stay(monkeypatch):
    now = iter([0.0, 0.1, 1.0, 1.0, 1.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    stream = io.StringIO()
    progress = OneLineProgress(stream)
    progress.start("Training", 2000, "steps")
    progress.advance(1)  # too soon to be shown
    progress.advance(999, "loss 0.5")
    progress.message("saved")
    progress.finish()
    progress.finish()
    first, second = "Training: 0 steps of 2 k steps", "Training: 1 k steps of 2 k steps, loss 0.5"
    saved = "saved" + " " * (len(second) - len("saved"))
    assert stream.getvalue() == f"\r{first}\r{second}\r{saved}\n\rTraining: 1 k steps of 2 k steps\n"


def test_a_call_shows_nothing_unless_it_is_asked_for():
    own = OneLineProgress()
    assert isinstance(shown_progress(False), NoProgress)
    assert isinstance(shown_progress(True), OneLineProgress)
    assert shown_progress(own) is own
