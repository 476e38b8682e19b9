"""Train the reference work from disk in this process; print the speed and the AUCs as one JSON line.

    python -m tests.benchmarks.peers.train_ours DATA --epochs 2 --seed 1

The first steps, which compile, do not count, and neither does filling the table.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

from esmm_dist.process.quiet import import_tfra
from esmm_dist.train.config import EvaluationConfig
from tests.benchmarks.figures import StepClock
from tests.benchmarks.reference_work import TABLE_ROWS, fill, reference_config, train_timed


def main() -> None:
    """Train, time, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    import_tfra()
    from esmm_dist.train.trainer import Trainer

    with tempfile.TemporaryDirectory() as run:
        config = reference_config(arguments.data, Path(run), epochs=arguments.epochs)
        at_the_end = EvaluationConfig(eval_every_steps=0, baseline=False)
        config = dataclasses.replace(config, seed=arguments.seed, evaluation=at_the_end)
        clock = StepClock()
        trainer = Trainer(config, clock)
        fill(trainer.store, trainer.config, TABLE_ROWS)
        impressions, times = train_timed(trainer, clock)
        auc = {task: metrics.auc for task, metrics in trainer.train().metrics.items()}  # saves, too
    print(json.dumps({"impressions": impressions, "wall_s": times.wall_s, "cpu_s": times.cpu_s, "auc": auc}))


if __name__ == "__main__":
    main()
