"""What a user sees of several processes: their lines with their names in front, and one progress line."""

from collections.abc import Sequence

from esmm_dist.escaped import lines_of
from esmm_dist.process.progress_events import replay, split_event
from esmm_dist.progress import Progress
from launcher.run_files.log_files import OWN_NAME, LogFiles

# ANSI colours that are readable on dark and on light ground.
_COLOURS = (36, 35, 32, 33, 34, 96, 95, 92, 93, 94)


class Screen:
    """Shows lines, whole and one by one, through one progress listener.

    Args:
        progress: draws the bar, or writes lines
        names: names of all processes, in order: each gets a colour, and all the same width
        colours: whether to colour names; for a terminal only
    """

    logs: LogFiles | None = None
    """Log files that keep what is shown; None: nothing is kept."""

    def __init__(self, progress: Progress, names: Sequence[str], *, colours: bool) -> None:
        self._progress = progress
        width = max(map(len, names), default=0)
        self._labels = {
            name: f"\x1b[{_COLOURS[i % len(_COLOURS)]}m{name:<{width}} |\x1b[0m" if colours else f"{name:<{width}} |"
            for i, name in enumerate(names)
        }

    def log(self, name: str, line: str, *, leads: bool) -> None:
        """Show a line of a process.

        Args:
            name: name of the process
            line: the line, which may hold a progress event
            leads: whether the process's progress is the progress of the whole; else only its messages are shown
        """
        text, event = split_event(line)
        text = lines_of(text)
        if event and not replay(event, _Labelled(self, name, self._progress if leads else None)):
            text += event
        if text:
            self._progress.message(f"{self._labels[name]} {text}")
        elif not line:
            self._progress.message(self._labels[name])
        if text or not line:
            self.keep(name, text)

    def say(self, text: str) -> None:
        """Show a line of ``esmm local`` itself."""
        self._progress.message(text)
        self.keep(OWN_NAME, text)

    def keep(self, name: str, text: str) -> None:
        """Keep lines without showing them."""
        if self.logs is not None:
            self.logs.write(name, text)

    def end_progress(self) -> None:
        """End the progress line."""
        self._progress.finish()


class _Labelled:
    """The progress of one process: its messages as its log lines, its bar as the bar of all (or none)."""

    def __init__(self, screen: Screen, name: str, bar: Progress | None) -> None:
        self._screen = screen
        self._name = name
        self._bar = bar

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        if self._bar:
            self._bar.start(task, total, unit, done)

    def advance(self, amount: float, note: str = "") -> None:
        if self._bar:
            self._bar.advance(amount, note)

    def message(self, text: str) -> None:
        for line in text.splitlines() or [""]:
            self._screen.log(self._name, line, leads=False)

    def finish(self) -> None:
        if self._bar:
            self._bar.finish()
