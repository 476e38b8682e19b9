"""One trial: the trainings that it runs, one after the other, each a process of its own."""

import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from esmm_dist.train.run_folder import METRICS_NAME
from launcher.local.process_plans import ESMM
from launcher.processes.child import Child
from launcher.processes.process_plan import ProcessPlan
from launcher.terminal.progress import PROGRESS_FORM
from launcher.terminal.progress_events import replay, split_event
from launcher.tune.objective import Objective
from launcher.tune.study_folder import StudyFolder

# Runs in the new process, before its program. TensorFlow, BLAS and the kernels make as many threads as there are cores
# that a process may use, so this bounds them all
_ON_CORES = """
import os, sys
os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
os.execv(sys.argv[2], sys.argv[2:])
"""

GRACE_S = 60.0
"""Seconds that a pruned training has to save and end before it is killed."""


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What a trial runs."""

    number: int
    folder: StudyFolder
    data: Path
    seeds: Sequence[int]
    objective: Objective
    cores: Sequence[int] | None
    """Cores that its processes may use; None: all."""
    esmm: Sequence[str] = ESMM
    """The words that run ``esmm``."""

    def command(self, seed: int) -> tuple[str, ...]:
        """Return the words that train with a seed."""
        words = (
            *(*self.esmm, "train", "--config", str(self.folder.settings(self.number)), "--data", str(self.data)),
            *("--run", str(self.folder.run(self.number, seed)), "--seed", str(seed), "--json"),
        )
        return words if self.cores is None else on_cores(self.cores, words)


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How a trial ended, if it was not stopped: with a value, pruned, or with an error."""

    value: float = math.nan
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Metrics of each seed's training."""
    pruned: bool = False
    error: str = ""


def on_cores(cores: Sequence[int], command: Sequence[str]) -> tuple[str, ...]:
    """Return the words that run a command on some of the cores."""
    return (sys.executable, "-I", "-S", "-c", _ON_CORES, ",".join(map(str, cores)), *command)


class TrialProcess:
    """Runs a trial's trainings and follows their evaluations.

    ``poll`` does all the work, and returns at once; call it when a pipe can be read or a child ended, or now and then.
    Make it in the main thread: the kernel kills its process when the thread that started it ends.

    Args:
        plan: what it runs
        trial: the ``optuna.Trial``, which gets the evaluations of the first training and decides on pruning
        inherited: environment of its processes
    """

    def __init__(self, plan: TrialPlan, trial: Any, inherited: Mapping[str, str]) -> None:
        self.plan, self.trial = plan, trial
        self.started = time.monotonic()
        self.end: TrialEnd | None = None
        """Set when it has ended, and was not stopped."""
        self.stopped = False
        """Whether it has ended because it was asked to stop: its trial goes on later."""
        self._inherited = inherited
        self._values: list[float] = []
        self._metrics: dict[str, Any] = {}
        self._metrics_version: tuple[int, int] | None = None
        self._terminated_at: float | None = None
        self._pruned = self._is_stopping = False
        self._reported = max(trial.storage.get_trial(trial._trial_id).intermediate_values, default=0)
        self._steps = _Steps()
        self._log: IO[str] = plan.folder.log(plan.number).open("a", encoding="utf-8", errors="backslashreplace")
        self._child = self._start()

    @property
    def pipes(self) -> list[IO[bytes]]:
        """The pipes to wait for."""
        return self._child.pipes

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor stopped."""
        return self.end is None and not self.stopped

    @property
    def share(self) -> float:
        """Share of its steps that are done, 0 .. 1."""
        return 1.0 if self.end is not None else (len(self._values) + self._steps.share) / len(self.plan.seeds)

    def stop(self) -> None:
        """Ask it to save and end."""
        self._is_stopping = True
        self._child.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill its process and wait for its end. Harmless if it has ended."""
        self._child.kill()
        self._log.close()

    def poll(self) -> None:
        """Note what its process has written, evaluated and how it ended; start the next training."""
        if not self.running:
            return
        self._keep(self._child.read())
        ended = self._child.reap()
        if not self._pruned and not self._is_stopping:
            self._follow_evaluations(prune=not ended)
        if self._terminated_at is not None and time.monotonic() > self._terminated_at + GRACE_S:
            self._child.send(signal.SIGKILL)
        if not ended:
            return
        self._keep(self._child.close())
        self._note_end()
        if not self.running:
            self._log.close()

    def _start(self) -> Child:
        seed = self.plan.seeds[len(self._values)]
        self._steps = _Steps()
        environment = {"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"}
        name = f"trial {self.plan.number}"
        plan = ProcessPlan(name=name, command=self.plan.command(seed), environment=environment, reports=True)
        return Child(plan, self._inherited, is_server=False)

    def _keep(self, lines: Iterator[str]) -> None:
        """Keep log lines in the trial's file, and take progress out of them."""
        for line in lines:
            text, event = split_event(line)
            if event and not replay(event, self._steps):
                text += event
            for each in (text, *self._steps.take_messages()):
                if each:
                    self._log.write(f"{each}\n")
        self._log.flush()

    def _follow_evaluations(self, *, prune: bool) -> None:
        """Report new evaluations of the run; ask the process to end if the pruner says so."""
        for index, evaluation in enumerate(self._evaluations(), start=1):
            if index <= self._reported:
                continue
            self._reported = index
            self.trial.report(self.plan.objective.value(evaluation["metrics"]), index)
            at_end = evaluation["step"] >= self._steps.total  # nothing is left to save
            if prune and not at_end and self.trial.should_prune():
                self._pruned, self._terminated_at = True, time.monotonic()
                self._child.send(signal.SIGTERM)
                return

    def _evaluations(self) -> Sequence[Mapping[str, Any]]:
        """Return the evaluations of the run's ``metrics.json`` if the file is new; else none."""
        path = self.plan.folder.run(self.plan.number, self.plan.seeds[0]) / METRICS_NAME
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            if version == self._metrics_version:
                return ()
            found: Sequence[Mapping[str, Any]] = json.loads(path.read_bytes())["evaluations"]
        except (FileNotFoundError, ValueError):
            return ()
        self._metrics_version = version
        return found

    def _note_end(self) -> None:
        ending = self._child.ending()
        if ending.status != 0:
            if self._pruned:
                self.end = TrialEnd(pruned=True)
            elif self._is_stopping:
                self.stopped = True
            else:
                error = ending.describe(GRACE_S)
                self._log.write(f"{error}\n")
                self.end = TrialEnd(error=error)
            return
        result = json.loads(self._child.report[-1])
        if result["stopped_by"] is None:  # pruned too late, if it was
            self._pruned, self._terminated_at = False, None
            self._note_result(result)
        elif self._pruned:
            self.end = TrialEnd(pruned=True)
        elif self._is_stopping:
            self.stopped = True
        else:
            self.end = TrialEnd(error=f"Somebody else has stopped it by {result['stopped_by']}.")

    def _note_result(self, result: Mapping[str, Any]) -> None:
        """Take the value of a training that is complete, and start the next one, unless the process is to stop."""
        seed = self.plan.seeds[len(self._values)]
        value = self.plan.objective.value(result["metrics"])
        if math.isnan(value):
            self.end = TrialEnd(error=f"{self.plan.objective.text} is not a number on the evaluated split.")
            return
        self._values.append(value)
        self._metrics[str(seed)] = result["metrics"]
        if len(self._values) == len(self.plan.seeds):
            self.end = TrialEnd(value=math.fsum(self._values) / len(self._values), metrics=self._metrics)
        elif self._is_stopping:
            self.stopped = True
        else:
            self._child = self._start()


class _Steps:
    """Follows the steps of a training by its progress, and holds its messages."""

    def __init__(self) -> None:
        self.total = 0.0
        self._done = 0.0
        self._is_steps = False
        self._messages: list[str] = []

    @property
    def share(self) -> float:
        return min(self._done / self.total, 1.0) if self.total else 0.0

    def take_messages(self) -> list[str]:
        taken, self._messages = self._messages, []
        return taken

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self._is_steps = unit == "steps"
        if self._is_steps:
            self.total, self._done = total or 0.0, done

    def advance(self, amount: float, note: str = "") -> None:
        if self._is_steps:
            self._done += amount

    def message(self, text: str) -> None:
        self._messages.append(text)

    def finish(self) -> None:
        self._is_steps = False
