"""When a worker process that has ended is started again, and when that is given up."""

from dataclasses import dataclass

QUICK_S = 30.0
"""A process that ends so soon after its start has done nothing for anyone; its start alone takes several seconds."""

MOST_QUICK_ENDS = 5
"""A process that ends so often in a row, each time soon after its start, will not run."""

LONGEST_PAUSE_S = 10.0


@dataclass
class Restarts:
    """The starts of one worker's process. Times are seconds of a clock that only goes forward."""

    started_s: float = 0.0
    due_s: float = 0.0
    """When the next process is to be started, if none runs."""
    quick_ends: int = 0
    """How many processes in a row have ended soon after their start."""
    starts: int = 0

    @property
    def will_not_run(self) -> bool:
        """Whether to give up."""
        return self.quick_ends >= MOST_QUICK_ENDS

    def note_start(self, now_s: float) -> None:
        """Note that a process was started."""
        self.started_s = now_s
        self.starts += 1

    def note_end(self, now_s: float) -> None:
        """Note that the process has ended, and decide when the next one starts: at once, or after a growing pause."""
        quick = now_s - self.started_s < QUICK_S
        self.quick_ends = self.quick_ends + 1 if quick else 0
        pause_s = min(0.5 * 2 ** (self.quick_ends - 2), LONGEST_PAUSE_S) if self.quick_ends > 1 else 0.0
        self.due_s = now_s + pause_s
