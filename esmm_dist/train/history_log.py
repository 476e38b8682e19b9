"""Write what happens to a run into its ``history.jsonl``."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from esmm_dist.train.json_lines import JsonLines, parsed_lines
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_history import HISTORY_NAME, RunEvent, own_event


class HistoryLog:
    """Writes on rank 0, and nothing on the others.

    A start is written once something follows from it, with its own time: one that finds nothing left to do leaves no
    trace.
    """

    def __init__(self, run: RunFolder | None, clock: Callable[[], float] = time.time) -> None:
        """Read what the processes before have written.

        Args:
            run: folder of the run; None on ranks other than 0
            clock: returns seconds since 1970

        Raises:
            StorageError: The storage refuses.
        """
        self._clock = clock
        self._begun: RunEvent | None = None
        self._lines: JsonLines | None = None
        self._ranks_before: int | None = None
        if run is not None:
            before = [own_event(entry) for entry in parsed_lines(run.go_on_with(HISTORY_NAME))]
            ranks = [each.details["ranks"] for each in before if each is not None and "ranks" in each.details]
            self._ranks_before = ranks[-1] if ranks else None
            self._lines = JsonLines(partial(run.append, HISTORY_NAME))

    @property
    def ranks_before(self) -> int | None:
        """Ranks of the run by its newest event that says so; None: there is none."""
        return self._ranks_before

    def begin(self, event: str, step: int, **details: Any) -> None:
        """Note a start, to be written before the next event."""
        self._begun = RunEvent(at=self._clock(), event=event, step=step, details=details)

    def follow(self) -> None:
        """Write the start, as something has followed from it; nothing if that is done. Cheap enough for every step."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._write(begun)

    def add(self, event: str, step: int, **details: Any) -> None:
        """Write an event."""
        self.follow()
        self._write(RunEvent(at=self._clock(), event=event, step=step, details=details))

    def end(self, event: str, step: int, **details: Any) -> None:
        """Write the end of a training, unless nothing followed from its start."""
        if self._begun is None:
            self.add(event, step, **details)

    def _write(self, event: RunEvent) -> None:
        if self._lines is not None:
            self._lines.add(event.to_mapping())
