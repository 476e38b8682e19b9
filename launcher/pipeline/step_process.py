"""Run a line of ``esmm`` as a process of its own.

Steps that need TensorFlow run so: the memory of one is given back before the next begins, a step that the kernel kills
does not take the pipeline with it, and a model is exported to the same bytes each time (names in a graph count what was
traced before in the same process). Importing TensorFlow costs each of them some 3 s of processor time.
"""

import json
import os
import select
import signal
from collections.abc import Iterable, Sequence
from typing import Any

from esmm_dist.escaped import lines_of
from esmm_dist.process.progress_events import replay, split_event
from esmm_dist.process.signals import SignalInbox, StoppedBySignal
from esmm_dist.progress import Progress
from launcher.local.process_plans import ESMM
from launcher.processes.child import Child
from launcher.processes.ending import LocalError
from launcher.processes.process_plan import ProcessPlan
from launcher.terminal.progress import PROGRESS_FORM

_GRACE_S = 30.0


def run_in_process(line: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Run a line to its end; blocks.

    A first signal is passed on as SIGTERM, so that a training saves; a second Ctrl-C kills the process. The process
    ends with this one, whatever ends it.

    Args:
        line: words after ``esmm``
        progress: receives the progress and the report of the line

    Returns:
        What it prints with ``--json``.

    Raises:
        LocalError: it failed; with its message and its exit status
        StoppedBySignal: a signal came, and it has ended
    """
    plan = ProcessPlan(
        name=f"esmm {line[0]}",
        command=_command(line),
        environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"},
        reports=True,
    )
    with SignalInbox() as signals:
        child = Child(plan, os.environ, is_server=False)
        try:
            stopped_by = _follow(child, signals, progress)
        finally:
            child.kill()
            progress.finish()
    ending = child.ending()
    if stopped_by is not None:
        raise StoppedBySignal(stopped_by)
    if ending.failed:
        raise LocalError(ending.describe(_GRACE_S), ending.status if ending.status > 0 else 1)
    found: dict[str, Any] = json.loads(child.report[-1])
    return found


def _command(line: Sequence[str]) -> tuple[str, ...]:
    return (*ESMM, *line, "--json")


def _follow(child: Child, signals: SignalInbox, progress: Progress) -> signal.Signals | None:
    """Show what a process writes until it has ended; return the signal that came meanwhile, if one did."""
    stopped_by: signal.Signals | None = None
    while True:
        select.select([signals.fileno(), *(pipe.fileno() for pipe in child.pipes)], [], [])
        for number in signals.take():
            if stopped_by is None:
                stopped_by = number
                child.send(signal.SIGTERM)
            elif number == signal.SIGINT:
                child.kill()
                return stopped_by
        _show(child.read(), progress)
        if child.reap():
            _show(child.close(), progress)
            return stopped_by


def _show(lines: Iterable[str], progress: Progress) -> None:
    for line in lines:
        text, event = split_event(line)
        text = lines_of(text)
        if event and not replay(event, _Indented(progress)):
            text += event
        if text or not line:
            progress.message(f"  {text}".rstrip())


class _Indented:
    """Passes progress on, with messages indented below the line that they are of."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.start, self.advance, self.finish = progress.start, progress.advance, progress.finish

    def message(self, text: str) -> None:
        for line in text.splitlines() or [""]:
            self._progress.message(f"  {line}".rstrip())
