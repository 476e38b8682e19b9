"""Progress on a terminal and in a log."""

import io
from datetime import datetime

import pytest

from esmm_dist.words import amount_text, short_bytes, short_number
from launcher.terminal.progress import BarProgress, LineProgress, duration, make_progress


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def line_progress(clock):
    out = io.StringIO()
    return LineProgress(out, every_s=5, clock=clock, now=lambda: datetime(2024, 1, 1, 23, 59, 50)), out


def test_lines_tell_share_rate_and_end_time(clock):
    progress, out = line_progress(clock)
    progress.start("train", 1000, "steps")
    clock.seconds += 10
    progress.advance(250, "loss 0.5")
    # 250 of 1000 steps in 10 s are 25 a second; the other 750 take 30 s: 23:59:50 + 30 s.
    assert out.getvalue().splitlines() == [
        "train: 1 k steps",
        "train:  25%, 250 of 1 k steps, 25/s, ends 00:00:20 (in 30.0 s), loss 0.5",
    ]


def test_rate_and_end_time_forget_a_slow_start(clock):
    progress, out = line_progress(clock)
    progress.start("train", 10_000, "steps")
    for steps in (0, 500, 500, 500):
        clock.seconds += 5
        progress.advance(steps)
    # Over the last three lines 100 a second, over all 75: the other 8,500 steps take 85 s.
    assert "100/s, ends 00:01:15 (in 1 min 25 s)" in out.getvalue().splitlines()[-1]


def test_first_step_that_takes_long_promises_no_end_and_counts_for_no_rate(clock):
    progress, out = line_progress(clock)
    progress.start("train", 1000, "steps")
    clock.seconds += 10
    progress.advance(1)  # compiled meanwhile
    clock.seconds += 5
    progress.advance(99)
    # 99 steps in 5 s are 19.8 a second; the other 900 take 45.5 s.
    assert out.getvalue().splitlines()[1:] == [
        "train:   0%, 1 of 1 k steps",
        "train:  10%, 100 of 1 k steps, 19.8/s, ends 00:00:35 (in 45.5 s)",
    ]


def test_slow_work_gets_its_end_time_with_the_second_line(clock):
    progress, out = line_progress(clock)
    progress.start("train", 10_000, "steps")
    for _ in range(2):
        clock.seconds += 5
        progress.advance(1)
    assert out.getvalue().splitlines()[-1].startswith("train:   0%, 2 of 10 k steps, 0.20/s, ends ")


def test_one_of_a_kind_is_written_in_the_singular():
    assert amount_text(1, "partitions") == "1 partition"
    assert amount_text(2, "partitions") == "2 partitions"


def test_lines_come_at_most_every_few_seconds(clock):
    progress, out = line_progress(clock)
    progress.start("train", 1000, "steps")
    for _ in range(99):
        clock.seconds += 0.1
        progress.advance(1)
    assert len(out.getvalue().splitlines()) == 2  # the start, and one line in 9.9 s of which 5 must pass


def test_work_of_unknown_size_has_no_end_time(clock):
    progress, out = line_progress(clock)
    progress.start("read", None, "lines")
    clock.seconds += 5
    progress.advance(1234567)
    assert out.getvalue().splitlines() == ["read", "read: 1.23 M lines, 247 k/s"]


def test_bytes_are_shown_with_their_prefix(clock):
    progress, out = line_progress(clock)
    progress.start("read", 2_000_000, "B")
    clock.seconds += 5
    progress.advance(500_000)
    # 0.5 MB in 5 s are 100 kB a second; the other 1.5 MB take 15 s.
    assert out.getvalue().splitlines() == [
        "read: 2 MB",
        "read:  25%, 500 k of 2 MB, 100 kB/s, ends 00:00:05 (in 15.0 s)",
    ]


def test_finish_tells_amount_and_time_once(clock):
    progress, out = line_progress(clock)
    progress.start("read", 10, "files")
    clock.seconds += 4
    progress.advance(10)
    progress.finish()
    progress.finish()
    assert out.getvalue().splitlines()[1:] == ["read: done, 10 files in 4.0 s (2.50/s)"]


def test_a_part_of_a_task_is_not_called_done(clock):
    progress, out = line_progress(clock)
    for done in (0, 1000):
        progress.start("train", 2000, "steps", done)
        clock.seconds += 4
        progress.advance(1000)
        progress.finish()
    assert out.getvalue().splitlines() == [
        "train: 2 k steps",
        "train: 1 k of 2 k steps in 4.0 s (250/s)",
        "train: 2 k steps",
        "train: done, 1 k steps in 4.0 s (250/s)",
    ]


def test_a_new_task_ends_the_one_before(clock):
    progress, out = line_progress(clock)
    progress.start("one", None, "x")
    clock.seconds += 1
    progress.start("two", None, "x")
    assert out.getvalue().splitlines() == ["one", "one: done, 1.0 s", "two"]


def test_a_short_task_gets_one_line(clock):
    progress, out = line_progress(clock)
    progress.start("one", 3, "x")
    clock.seconds += 0.9
    progress.advance(3)
    progress.finish()
    clock.seconds += 9
    progress.finish()
    assert out.getvalue().splitlines() == ["one: 3 x"]


def test_progress_before_a_start_is_harmless(clock):
    progress, out = line_progress(clock)
    progress.advance(1)
    progress.finish()
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_and_a_file_gets_lines():
    assert isinstance(make_progress(Terminal()), BarProgress)
    assert isinstance(make_progress(io.StringIO()), LineProgress)


def test_the_bar_shows_task_share_note_and_messages():
    out = Terminal()
    progress = BarProgress(out)
    progress.advance(1)  # harmless
    progress.start("train [x]", 4, "steps")
    progress.advance(2, "loss 0.5")
    progress.message("saved [step-2]")
    progress.finish()
    progress.finish()
    text = out.getvalue()
    assert "train [x]" in text
    assert "50%" in text
    assert "loss 0.5" in text
    assert "saved [step-2]" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"),
        (0, "0"),
        (7, "7"),
        (2.5, "2.50"),
        (12.34, "12.3"),
        (999, "999"),
        (999.9, "1.00 k"),
        (1234567, "1.23 M"),
        (9.996e9, "10.0 G"),
    ],
)
def test_short_number_has_three_digits(value, text):
    assert short_number(value) == text


def test_short_bytes_counts_in_powers_of_1000():
    assert [short_bytes(n) for n in (999, 1500, 2_000_000)] == ["999 B", "1.50 kB", "2 MB"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min"), (11220, "3 h 07 min")],
)
def test_duration_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text


def test_what_was_done_before_counts_into_the_share_and_not_into_the_rate(clock):
    progress, out = line_progress(clock)
    progress.start("train", 200, "steps", 100)
    clock.seconds += 5
    progress.advance(50)
    progress.finish()
    assert out.getvalue().splitlines()[1:] == [
        "train:  75%, 150 of 200 steps, 10/s, ends 23:59:55 (in 5.0 s)",
        "train: 150 of 200 steps, 50 of them in 5.0 s (10/s)",
    ]


def test_runs_are_counted_whole_and_their_end_comes_from_all_of_the_time(clock):
    progress, out = line_progress(clock)
    progress.start("Comparing", 4, "runs")
    clock.seconds += 10
    progress.advance(0.01)
    clock.seconds += 10
    progress.advance(0.99)
    clock.seconds += 5
    progress.advance(0.6, "1 failed")
    progress.finish()
    # The first line promises nothing of 0.01 runs. Then 1 in 20 s: the other 3 take 60 s. At last 1.6 in 25 s: 2.4 take
    # 37.5 s.
    assert out.getvalue().splitlines() == [
        "Comparing: 4 runs",
        "Comparing:   0%, 0 of 4 runs",
        "Comparing:  25%, 1 of 4 runs, ends 00:00:50 (in 1 min 00 s)",
        "Comparing:  40%, 1 of 4 runs, ends 00:00:27 (in 37.5 s), 1 failed",
        "Comparing: 1 of 4 runs in 25.0 s, 1 failed",
    ]
