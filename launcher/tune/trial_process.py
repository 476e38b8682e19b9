"""One trial: the trainings that it runs, one after the other, each a process of its own."""

import json
import math
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from esmm_dist.train.run_folder import METRICS_NAME
from launcher.local.process_plans import ESMM
from launcher.trainings.cores import on_cores
from launcher.trainings.logged_process import LoggedProcess
from launcher.tune.objective import Objective
from launcher.tune.study_folder import StudyFolder

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
        return on_cores(self.cores, words)


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How a trial ended, if it was not stopped: with a value, pruned, or with an error."""

    value: float = math.nan
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Metrics of each seed's training."""
    pruned: bool = False
    error: str = ""


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
        self._process = self._start()

    @property
    def pipes(self) -> list[IO[bytes]]:
        """The pipes to wait for."""
        return self._process.pipes

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor stopped."""
        return self.end is None and not self.stopped

    @property
    def share(self) -> float:
        """Share of its steps that are done, 0 .. 1."""
        return 1.0 if self.end is not None else (len(self._values) + self._process.work.share) / len(self.plan.seeds)

    def stop(self) -> None:
        """Ask it to save and end."""
        self._is_stopping = True
        self._process.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill its process and wait for its end. Harmless if it has ended."""
        self._process.kill()

    def poll(self) -> None:
        """Note what its process has written, evaluated and how it ended; start the next training."""
        if not self.running:
            return
        ended = self._process.poll()
        if not self._pruned and not self._is_stopping:
            self._follow_evaluations(prune=not ended)
        if self._terminated_at is not None and time.monotonic() > self._terminated_at + GRACE_S:
            self._process.send(signal.SIGKILL)
        if ended:
            ended_one = self._process
            self._note_end()
            ended_one.close()

    def _start(self) -> LoggedProcess:
        plan = self.plan
        command = plan.command(plan.seeds[len(self._values)])
        return LoggedProcess(f"trial {plan.number}", command, plan.folder.log(plan.number), self._inherited)

    def _follow_evaluations(self, *, prune: bool) -> None:
        """Report new evaluations of the run; ask the process to end if the pruner says so."""
        for index, evaluation in enumerate(self._evaluations(), start=1):
            if index <= self._reported:
                continue
            self._reported = index
            self.trial.report(self.plan.objective.value(evaluation["metrics"]), index)
            at_end = evaluation["step"] >= self._process.work.total  # nothing is left to save
            if prune and not at_end and self.trial.should_prune():
                self._pruned, self._terminated_at = True, time.monotonic()
                self._process.send(signal.SIGTERM)
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
        ending = self._process.ending()
        if ending.status != 0:
            if self._pruned:
                self.end = TrialEnd(pruned=True)
            elif self._is_stopping:
                self.stopped = True
            else:
                error = ending.describe(GRACE_S)
                self._process.note(error)
                self.end = TrialEnd(error=error)
            return
        result = self._process.result()
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
            self._process = self._start()
