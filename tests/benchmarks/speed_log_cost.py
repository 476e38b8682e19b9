"""What ``speed.jsonl`` costs a training, in CPU time: of its clock and its lines alone, and of whole steps.

    python -m tests.benchmarks.speed_log_cost DATA [--epochs 4] [--window 20]

Whole steps are measured in windows with the log and without it, in turns, in one training; the CPU time is that of all
threads of the process.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress

WARM_WINDOWS = 6
"""The first ones compile; an even number, so that pairs stay pairs."""


class _NoTimes:
    """Stands in for the clock of the steps: no laps, and nothing to log."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


def main() -> None:
    """Train, and print the CPU time of a step with and without the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--window", type=int, default=20, help="steps of a window; one line of the log is at its end")
    asked = parser.parse_args()
    import_tfra()
    with tempfile.TemporaryDirectory() as run:
        windows, lines = _windows(asked.data, Path(run), asked.epochs, asked.window)
    with_log, without = windows[::2], windows[1::2]
    pairs = list(zip(with_log, without, strict=False))
    ratios = sorted(a / b for a, b in pairs)
    step_ms = 1000 / asked.window
    clock_us, line_us = _clock_us(), 1e6 * statistics.mean(lines)
    alone_us = clock_us + line_us / asked.window
    print(f"alone: {clock_us:.1f} CPU-us a step for its clock and {line_us:.0f} a line, ", end="")
    print(f"{alone_us / (1e6 * statistics.median(with_log) / asked.window):.2%} of a step")
    print(f"{len(pairs)} pairs of windows of {asked.window} steps")
    print(f"with speed.jsonl {statistics.median(with_log) * step_ms:.2f} CPU-ms a step, without ", end="")
    print(
        f"{statistics.median(without) * step_ms:.2f}; ratio of a pair: median {statistics.median(ratios):.4f}, ", end=""
    )
    print(f"quartiles {ratios[len(ratios) // 4]:.4f} and {ratios[3 * len(ratios) // 4]:.4f}")


def _clock_us(steps: int = 100_000) -> float:
    """Return the CPU microseconds that the laps of a step take."""
    from esmm_dist.train.step_times import StepPart, StepTimes

    times = StepTimes()
    started = time.thread_time()
    for _ in range(steps):
        times.lap_of_input(0.0)
        for part in (StepPart.PULL, StepPart.STEP, StepPart.PUSH, StepPart.OTHER):
            times.lap(part)
        times.count(1)
    return 1e6 * (time.thread_time() - started) / steps


def _windows(data: Path, run: Path, epochs: int, window: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each window, those with the log at every second place, and of each line."""
    from dataclasses import replace

    from esmm_dist.train.stepper import Stepper
    from esmm_dist.train.trainer import Trainer
    from tests.benchmarks.reference_work import reference_config

    ends: list[float] = []
    lines: list[float] = []
    made, logged = Stepper._make_step, Stepper.log_speed

    def make_step(self: Any, *args: Any) -> int:
        times = self.__dict__.setdefault("_both", (self._times, _NoTimes()))
        if self.step % window == 0:
            ends.append(time.process_time())
            self._times = times[self.step // window % 2]
            self._times.start()
        return made(self, *args)

    def log_speed(self: Any) -> None:
        started = time.thread_time()
        logged(self)
        if not isinstance(self._times, _NoTimes):
            lines.append(time.thread_time() - started)

    config = replace(reference_config(data, run, epochs=epochs), log_every_steps=window)
    config = replace(config, input=replace(config.input, global_batch_records=64))
    with mock.patch.multiple(Stepper, _make_step=make_step, log_speed=log_speed):
        Trainer(config, NoProgress()).train()
    spent = [later - earlier for earlier, later in itertools.pairwise(ends)]
    return spent[WARM_WINDOWS:], lines


if __name__ == "__main__":
    main()
