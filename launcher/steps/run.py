"""Run the steps of a journal that are not done yet."""

import time
from collections.abc import Sequence

from launcher.command import CommandContext, Outcome
from launcher.steps.journal import DoneStep, Journal
from launcher.steps.step import Step
from launcher.terminal.json_line import json_value


def run_steps(steps: Sequence[Step], journal: Journal, context: CommandContext) -> str | None:
    """Run the steps that are not done yet, each shown as the line that does it by hand.

    Every step is a command line of its own, run within this process: importing TensorFlow anew for each would take
    seconds.

    Args:
        steps: steps in their order
        journal: knows which are done, and is written after each
        context: runs the lines, and shows their reports

    Returns:
        The name of the step that a signal stopped; None if all are done.

    Raises:
        EsmmError: a step's command fails
    """
    journal.write()
    for place, step in enumerate(steps):
        if place:
            context.progress.message("")
        context.progress.message(f"$ {step.line}    # {step.why}")
        if step.name in journal.done:
            context.progress.message(f"  done already; remove {journal.path.parent} to start over")
        elif _run_step(step, journal, context).result.get("stopped_by"):
            return step.name
    return None


def stopped_outcome(what: str, step: str, journal: Journal) -> Outcome:
    """Return the outcome of a command at whose step a signal stopped it.

    Args:
        what: the command, as the beginning of a sentence
        step: name of the step
        journal: journal of the command
    """
    lines = [f"{what} stopped at {step}. Run the same command again to continue."]
    return Outcome(lines=lines, result={"folder": str(journal.path.parent), "stopped_at": step}, done=False)


def _run_step(step: Step, journal: Journal, context: CommandContext) -> Outcome:
    """Run a step, show its report, and note it as done unless a signal stopped it."""
    started = time.perf_counter()
    outcome = context.run_line(step.args)
    seconds = time.perf_counter() - started
    for line in outcome.lines:
        context.progress.message(f"  {line}" if line else "")
    if not outcome.result.get("stopped_by"):
        journal.add(step, DoneStep(seconds=seconds, result=json_value(outcome.result)))
    return outcome
