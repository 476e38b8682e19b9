"""One run of a comparison: it is trained, then measured, each in a process of its own."""

import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from esmm_dist.errors import EsmmError
from esmm_dist.storage.whole_file import write_durable
from launcher.compare.data import CompareData
from launcher.compare.folder import CompareFolder, RunFiles, read_json
from launcher.local.process_plans import ESMM
from launcher.terminal.json_line import json_value
from launcher.trainings.cores import on_cores
from launcher.trainings.logged_process import LoggedProcess

GRACE_S = 60.0
"""Seconds that a training has to save and end at a signal."""

_TRAINING_SHARE = 0.9
"""About the share of a run's time that its training takes; measuring takes the rest."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What a run does."""

    model: str
    seed: int
    folder: CompareFolder
    data: CompareData
    cores: Sequence[int] | None = None
    """Cores that its processes may use; None: all."""
    esmm: Sequence[str] = ESMM
    """The words that run ``esmm``."""

    @property
    def name(self) -> str:
        """As users see it."""
        return f"{self.model}, seed {self.seed}"

    @property
    def files(self) -> RunFiles:
        """Where its results lie."""
        return RunFiles(path=self.folder.of_seed(self.model, self.seed))

    def steps(self) -> list[str]:
        """Return what is left to do, in order."""
        files, split = self.files, self.data.split
        truth = self.data.truth
        measured = read_json(files.against_truth(split)) if truth is not None else None
        left = []
        if not files.evaluation(split).is_file():
            left.append("evaluate")
        if truth is not None and (measured is None or measured["truth_crc32c"] != truth.crc32c):
            left.append("predict")
        if left and not (files.training.is_file() and files.run.is_dir()):
            left.insert(0, "train")
        return left

    def command(self, step: str) -> tuple[str, ...]:
        """Return the words of a step."""
        files, split = self.files, self.data.split
        words: tuple[str, ...] = ("--data", str(self.data.folder), "--run", str(files.run), "--json")
        if step == "train":
            words += ("--config", str(self.folder.model_settings(self.model)), "--seed", str(self.seed))
        elif step == "evaluate":
            words += ("--split", split, "--no-baseline")
        else:
            words += ("--split", split, "--out", str(files.predictions(split)))
        return on_cores(self.cores, (*self.esmm, step, *words))


class RunProcess:
    """Trains a run and measures it: what is done already is left as it is.

    ``poll`` does all the work, and returns at once (but for the truth, which takes seconds on millions of
    impressions). Make it in the main thread.

    Args:
        plan: what it does
        inherited: environment of its processes
    """

    def __init__(self, plan: RunPlan, inherited: Mapping[str, str]) -> None:
        self.plan = plan
        self.started = time.monotonic()
        self.error = ""
        """Why it has failed; empty if it has not."""
        self.stopped = False
        """Whether it has ended because it was asked to stop."""
        self._inherited = inherited
        self._steps = plan.steps()
        self._done: list[str] = []
        self._is_stopping = False
        plan.files.path.mkdir(parents=True, exist_ok=True)
        self._resumed = any((plan.files.run / "checkpoints").glob("step-*"))
        self._process: LoggedProcess | None = self._next()

    @property
    def pipes(self) -> list[IO[bytes]]:
        """The pipes to wait for."""
        return self._process.pipes if self._process is not None else []

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor stopped."""
        return self._process is not None

    @property
    def share(self) -> float:
        """Share of its work that is done, 0 .. 1."""
        if self._process is None:
            return 1.0
        weights = dict(step_shares(self._steps))
        return sum(weights[each] for each in self._done) + weights[self._step] * self._process.work.share

    def stop(self) -> None:
        """Ask it to save and end."""
        self._is_stopping = True
        if self._process is not None:
            self._process.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill its process and wait for its end. Harmless if it has ended."""
        if self._process is not None:
            self._process.kill()

    def poll(self) -> None:
        """Note what its process has written and how it ended; start the next step."""
        if self._process is None or not self._process.poll():
            return
        ended = self._process
        self._process = self._after(ended)
        ended.close()

    @property
    def _step(self) -> str:
        return self._steps[len(self._done)]

    def _next(self) -> LoggedProcess | None:
        if len(self._done) == len(self._steps):
            return None
        unit = "steps" if self._step == "train" else "impressions"
        command = self.plan.command(self._step)
        return LoggedProcess(self.plan.name, command, self.plan.files.log, self._inherited, unit=unit)

    def _after(self, process: LoggedProcess) -> LoggedProcess | None:
        """Keep what a step has found; return the process of the next one."""
        ending = process.ending()
        result = process.result() if ending.status == 0 else {}
        if ending.status != 0 or result.get("stopped_by") is not None:
            if self._is_stopping:
                self.stopped = True
                return None
            why = f"Somebody else has stopped it by {result['stopped_by']}." if result else ending.describe(GRACE_S)
            self._fail(process, why)
            return None
        try:
            self._keep(result, process)
        except EsmmError as e:
            self._fail(process, str(e))
            return None
        self._done.append(self._step)
        if len(self._done) < len(self._steps) and self._is_stopping:
            self.stopped = True
            return None
        return self._next()

    def _fail(self, process: LoggedProcess, why: str) -> None:
        process.note(why)
        self.error = why

    def _keep(self, result: Mapping[str, Any], process: LoggedProcess) -> None:
        files, data = self.plan.files, self.plan.data
        if self._step == "train":
            kept = {name: result[name] for name in ("step", "total_steps", "impressions", "seconds", "rows")}
            cost = {"cpu_s": process.cpu_s, "begun_cpu_s": process.begun_cpu_s, "begun_share": process.begun_share}
            _write(files.training, {**kept, **cost, "resumed": self._resumed})
        elif self._step == "evaluate":
            _write(files.evaluation(data.split), {task.name: result[task.name] for task in data.tasks})
        else:
            assert data.truth is not None
            predictions = files.predictions(data.split)
            found = {"truth_crc32c": data.truth.crc32c, "tasks": data.truth.figures(predictions)}
            _write(files.against_truth(data.split), found)
            predictions.unlink()


def step_shares(steps: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield about the share of a run's time that each of its steps takes."""
    others = [step for step in steps if step != "train"]
    training = _TRAINING_SHARE if "train" in steps else 0.0
    for step in steps:
        yield step, training if step == "train" else (1 - training) / len(others)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    write_durable(path, (json.dumps(json_value(found)) + "\n").encode())
