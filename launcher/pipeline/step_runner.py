"""Runs the lines of a pipeline, each shown as a user types it."""

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from esmm_dist.process.signals import StoppedBySignal
from esmm_dist.progress import Progress
from esmm_dist.storage.uris import without_credentials
from launcher.command import CommandContext
from launcher.pipeline.step_process import run_in_process
from launcher.steps.step import Step
from launcher.terminal.json_line import json_value

RunProcess = Callable[[Sequence[str], Progress], Mapping[str, Any]]
"""Runs words after ``esmm`` as a process of its own, and returns what they print with ``--json``."""

_IN_PROCESS = ("train", "evaluate", "export")
"""Commands that need TensorFlow. ``local`` starts processes itself."""


class StepRunner:
    """Runs steps.

    Args:
        context: runs lines within this process
        run_process: runs those that need TensorFlow
    """

    def __init__(self, context: CommandContext, run_process: RunProcess = run_in_process) -> None:
        self._context, self._run_process = context, run_process

    @property
    def progress(self) -> Progress:
        """What receives messages."""
        return self._context.progress

    def show(self, step: Step) -> None:
        """Show the line of a step, without the credentials of its places."""
        line = Step(name=step.name, args=without_credentials(list(step.args)), why=step.why).line
        self.progress.message(f"$ {line}    # {step.why}")

    def run(self, step: Step) -> dict[str, Any]:
        """Show and run a step; return what it prints with ``--json``.

        Raises:
            EsmmError: its command fails
            StoppedBySignal: a signal stopped it
        """
        self.show(step)
        if step.args[0] in _IN_PROCESS:
            result = dict(self._run_process(step.args, self.progress))
        else:
            outcome = self._context.run_line([*step.args, *(["--json"] if step.args[0] == "local" else [])])
            for line in outcome.lines:
                self.progress.message(f"  {line}" if line else "")
            result = json_value(outcome.result)
        if result.get("stopped_by"):
            raise StoppedBySignal(signal.Signals[result["stopped_by"]])
        return result
