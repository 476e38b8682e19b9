"""Show the progress of long work on stderr: a bar on a terminal, a plain line every few seconds elsewhere.

Both show how far the work is, how fast it goes and when it ends. A process that another one has started reports to that
one instead (``esmm_dist/process/progress_events.py``).
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TextIO

import rich.progress
from rich.console import Console
from rich.text import Text

from esmm_dist.errors import ConfigError
from esmm_dist.escaped import lines_of
from esmm_dist.process.progress_events import JsonProgress
from esmm_dist.progress import Progress
from esmm_dist.words import amount_text, short_number

PROGRESS_FORM = "ESMM_PROGRESS"
"""Environment variable: ``json`` for lines that a program reads; unset or empty for what suits the stream."""

SHORT_TASK_S = 1.0
"""A task shorter than this gets one plain line, not two."""

RECENT_LINES = 3
"""The rate and the end time are computed from this many last lines: the first seconds of a training are slow, and an
average over all of it would predict a late end for long."""

START_UP_SHARE = 0.01
"""A first line with less than this share done shows no rate and no end time, and the rate is computed from it on: the
first step of a training takes seconds of compilation, from which minutes of work would look like hours."""

WHOLE_UNITS = ("runs", "trials")
"""Units of which a fraction is work in progress: whole ones are shown, without a rate, and the end is computed from all
of the time, as these go through phases of different speed."""

LINE_EVERY_S = 5.0
"""Seconds between plain lines: a log of an hour then has some 700, and a reader never wonders if it still runs."""


def make_progress(stream: TextIO | None = None) -> Progress:
    """Return the listener that suits a stream (default stderr): a bar if it is a terminal, else plain lines.

    Raises:
        ConfigError: the environment asks for an unknown form
    """
    stream = stream or sys.stderr
    form = os.environ.get(PROGRESS_FORM, "")
    if form == "json":
        return JsonProgress(stream)
    if form:
        raise ConfigError(f"{PROGRESS_FORM} is {form!r} in the environment. Set it to json, or unset it.")
    return BarProgress(stream) if stream.isatty() else LineProgress(stream)


class LineProgress:
    """Writes plain lines: at the start of a task, every few seconds, and at its end."""

    def __init__(
        self,
        stream: TextIO,
        every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._stream = stream
        self._every_s = every_s
        self._clock = clock
        self._now = now
        self._task = ""
        self._total: float | None = None
        self._unit = ""
        self._done = self._before = 0.0
        self._note = ""
        self._started = self._last = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT_LINES)

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Write that a task begins."""
        self.finish()
        self._task, self._total, self._unit, self._done, self._note = task, total, unit, done, ""
        self._before = done
        self._started = self._last = self._clock()
        self._recent.clear()
        self._recent.append((self._started, done))
        self.message(f"{task}: {amount_text(total, unit)}" if total else task)

    def advance(self, amount: float, note: str = "") -> None:
        """Count the amount, and write a line if the last one is old enough."""
        self._done += amount
        self._note = note or self._note
        if self._task and self._clock() - self._last >= self._every_s:
            self._last = self._clock()
            if self._is_starting_up():
                self._recent.clear()
            self.message(self._state(self._last))
            self._recent.append((self._last, self._done))

    def message(self, text: str) -> None:
        """Write one line."""
        print(lines_of(text), file=self._stream, flush=True)

    def finish(self) -> None:
        """Write how much was done in what time, unless the task was short; a part of the task is not called done."""
        if not self._task:
            return
        elapsed = self._clock() - self._started
        if elapsed < SHORT_TASK_S:
            self._task = ""
            return
        now_done = self._shown_amount(self._done) - self._shown_amount(self._before)
        has_rate = now_done and elapsed > 0 and self._unit not in WHOLE_UNITS
        rate = f" ({self._rate(now_done / elapsed)})" if has_rate else ""
        note = f", {self._note}" if self._note else ""
        self.message(f"{self._task}: {self._ended(now_done)}{duration(elapsed)}{rate}{note}")
        self._task = ""

    def _ended(self, now_done: float) -> str:
        """Return how far a task has come that ends or pauses, up to the time that it took; "done" if it is complete."""
        whole_done = self._shown_amount(self._done)
        if self._total is None or whole_done >= self._total:
            return f"done, {amount_text(now_done, self._unit)} in " if now_done else "done, "
        here = f", {short_number(now_done)} of them" if self._before else ""
        return f"{short_number(whole_done)} of {amount_text(self._total, self._unit)}{here} in "

    def _is_starting_up(self) -> bool:
        """Return whether this is the first line, and so little is done that most of its time went into starting up."""
        is_first = self._recent[0] == (self._started, self._before) and len(self._recent) == 1
        return is_first and bool(self._total) and self._done - self._before < START_UP_SHARE * (self._total or 0)

    def _state(self, now: float) -> str:
        since, done_then = self._recent[0] if self._recent else (now, self._done)
        is_whole = self._unit in WHOLE_UNITS
        if is_whole and self._recent:
            since, done_then = self._started, self._before
        rate = (self._done - done_then) / (now - since) if now > since else 0.0
        note = f", {self._note}" if self._note else ""
        rate_text = f", {self._rate(rate)}" if now > since and not is_whole else ""
        if not self._total:
            return f"{self._task}: {amount_text(self._done, self._unit)}{rate_text}{note}"
        text = (
            f"{self._task}: {min(self._done / self._total, 1):4.0%}, {short_number(self._shown_amount(self._done))} of "
            f"{amount_text(self._total, self._unit)}{rate_text}"
        )
        if rate > 0:
            left = max(self._total - self._done, 0) / rate
            text += f", ends {self._now() + timedelta(seconds=left):%H:%M:%S} (in {duration(left)})"
        return text + note

    def _shown_amount(self, amount: float) -> float:
        return math.floor(amount + 1e-6) if self._unit in WHOLE_UNITS else amount

    def _rate(self, rate: float) -> str:
        return f"{amount_text(rate, 'B')}/s" if self._unit == "B" else f"{short_number(rate)}/s"


class BarProgress:
    """Draws one bar for the running task, below the lines that stay."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._task_id = rich.progress.TaskID(0)
        self._unit = ""

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Draw a new bar."""
        self.finish()
        self._unit = unit
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=30),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.fields[rate]}", markup=False),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left"),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        self._task_id = self._bar.add_task(task, total=total, completed=round(done), rate="", note="")
        self._bar.start()

    def advance(self, amount: float, note: str = "") -> None:
        """Move the bar."""
        if self._bar is None:
            return
        self._bar.advance(self._task_id, amount)
        task = self._bar.tasks[self._task_id]
        speed = task.finished_speed or task.speed
        rate = f"{amount_text(speed, self._unit)}/s" if speed else ""
        if self._unit in WHOLE_UNITS:
            rate = f"{math.floor(task.completed + 1e-6)} of {amount_text(task.total or 0, self._unit)}"
        self._bar.update(self._task_id, rate=rate, note=note or task.fields["note"])

    def message(self, text: str) -> None:
        """Write one line above the bar. Its colours (ANSI) are kept; codes that move the cursor are dropped."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def finish(self) -> None:
        """Stop the bar where it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def duration(seconds: float) -> str:
    """Return seconds as "8.4 s", "2 min 05 s" or "3 h 07 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
