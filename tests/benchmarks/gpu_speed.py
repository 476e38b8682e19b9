"""Training with the towers on a GPU: the reference work, with and without mixed precision and XLA.

    python -m tests.benchmarks.gpu_speed [--quick]

Impressions a second of whole training from disk with the towers on the CPU and on the GPU, in turns, and where the time
of a step goes: the part between the pooled vectors and their gradients, and the rest, which stays on the CPU. Without a
GPU that TensorFlow sees it says so and ends with status 1.
"""

import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from esmm_dist.model.config import HardwareConfig
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from tests.benchmarks.figures import Figure, Scale, paired, show
from tests.benchmarks.reference_work import TABLE_ROWS, data_set, fill, reference_config

SIDES = {
    "CPU": HardwareConfig(),
    "GPU": HardwareConfig(),
    "GPU, mixed precision": HardwareConfig(mixed_precision=True),
    "GPU, XLA": HardwareConfig(xla=True),
    "GPU, both": HardwareConfig(mixed_precision=True, xla=True),
}
_MARK = "impressions_per_second, share_of_step "


def gpu_figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known.

    Raises:
        SystemExit: TensorFlow sees no GPU.
    """
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise SystemExit("TensorFlow sees no GPU on this machine: nothing was measured.")
    data, shares = data_set(scale, 8), dict.fromkeys(SIDES, 0.0)

    def side(name: str) -> float:
        rate, shares[name] = _in_a_process(data, name, scale.of(TABLE_ROWS, 0))
        return rate

    found = paired({name: functools.partial(side, name) for name in SIDES}, rounds=scale.of(3, 1))
    for name in SIDES:
        yield Figure(name=f"training, towers on {name}", value=found.median(name), unit="impressions/s")
        yield Figure(name=f"... share of the step within the towers, {name}", value=shares[name], unit="")
    yield Figure(name="GPU / CPU", value=found.ratio("GPU", "CPU"), unit="")


def _in_a_process(data: Path, name: str, rows: int) -> tuple[float, float]:
    """Train in a process of its own: a device is chosen, and XLA turned on, once in the life of a process."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""} if name == "CPU" else dict(os.environ)
    command = [sys.executable, "-m", "tests.benchmarks.gpu_speed", "--side", name, str(data), str(rows)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith(_MARK))
    rate, share = line.removeprefix(_MARK).split()
    return float(rate), float(share)


def _train(name: str, data: Path, rows: int) -> None:
    """Train two epochs and print the rate, and the share of the steps' time that the compiled functions take."""
    import_tfra()
    from esmm_dist.train.compiled_step import CompiledStep
    from esmm_dist.train.trainer import Trainer

    within = 0.0
    make_step = CompiledStep.__call__

    def timed_step(*arguments: object) -> object:
        nonlocal within
        start = time.monotonic()
        result = make_step(*arguments)  # type: ignore[arg-type]
        within += time.monotonic() - start
        return result

    CompiledStep.__call__ = timed_step  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as run:
        config = dataclasses.replace(reference_config(data, Path(run), epochs=2), hardware=SIDES[name])
        trainer = Trainer(config, NoProgress())
        fill(trainer.store, trainer.config, rows)
        trainer.train_steps(8)
        within, start = 0.0, time.monotonic()
        impressions = trainer.train_steps(10**9)
        seconds = time.monotonic() - start
    print(f"{_MARK}{impressions / seconds} {within / seconds}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        _train(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        show(__doc__, gpu_figures)
