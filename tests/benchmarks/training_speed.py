"""Measure reading and training on synthetic data with full-length lists, in one process.

    python tests/benchmarks/training_speed.py --impressions 200000

Makes a log with the list lengths and id ranges of Ali-CCP, preprocesses it, fills the embedding table with 4.5 M rows,
and prints impressions a second and CPU-seconds a million impressions: of the input pipeline alone, of each part of a
step, and of whole training from disk. Setting: groups of 8, 4,096 impressions a batch, dimension 16, towers 256-128.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from esmm_dist.input.config import InputConfig
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import CheckpointConfig, EvaluationConfig, TrainConfig

TABLE_ROWS = 4_519_539
"""Ids of Ali-CCP that are seen at least 20 times."""


def main() -> None:
    """Make the data, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impressions", type=int, default=200_000, help="train and test together")
    parser.add_argument("--folder", type=Path, help="keep data here, and use what is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        data = make_data(folder, arguments.impressions)
        import_tfra()
        measure_reading(data)
        measure_training(data, folder / f"run-{time.time_ns()}")


def make_data(folder: Path, impressions: int) -> Path:
    """Make the data set unless the folder holds it."""
    raw, data = folder / f"raw-{impressions}", folder / f"data-{impressions}"
    if not (data / "manifest.json").is_file():
        esmm = [str(Path(sys.executable).with_name("esmm"))]
        synth = ["synth", str(raw), "--impressions", str(impressions), "--list-scale", "1", "--dimension-scale", "1"]
        subprocess.run([*esmm, *synth], check=True)
        schema = ["--schema", "aliccp-full", "--min-count", "1"]
        subprocess.run([*esmm, "preprocess", str(raw), str(data), *schema], check=True)
    return data


def measure_reading(data: Path) -> None:
    """Read the train split once, parse it, do nothing with it."""
    from esmm_dist.embedding.lookup import LookupPlan
    from esmm_dist.input.pipeline import BatchReader

    manifest = read_manifest(data)
    reader = BatchReader(data, manifest, "train", InputConfig(global_batch_records=512))
    for name, plan in (("input pipeline alone", None), ("... and unique ids", LookupPlan(manifest.schema))):
        impressions = ids = 0
        with Stopwatch() as watch:
            for batch in reader.epoch(0, seed=1):
                impressions += batch.num_impressions
                ids += len(batch.user_ids) + len(batch.impression_ids)
                if plan is not None:
                    plan.prepare(batch)
        watch.report(name, impressions)
    print(f"{'ids parsed an impression':28s} {ids / impressions:10.1f} (a group's user ids once)")


def measure_training(data: Path, run: Path) -> None:
    """Train one epoch from disk into a table of 4.5 M rows."""
    from esmm_dist.train.trainer import Trainer

    config = TrainConfig(
        data=data,
        run=str(run),
        input=InputConfig(global_batch_records=512, epochs=2),
        evaluation=EvaluationConfig(eval_split="none"),
        checkpoint=CheckpointConfig(checkpoint_every_steps=0),
    )
    run.mkdir(parents=True)
    trainer = Trainer(config, NoProgress())
    fill(trainer)
    trainer.train_steps(8)  # compiles, warms up
    with Stopwatch() as watch:
        impressions = trainer.train_steps(10**9)
    watch.report("training from disk", impressions)
    print(f"{'rows in the table':28s} {trainer.store.num_rows('main'):10,}")
    print(f"{'resident memory':28s} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:10.2f} GiB at the most")


def fill(trainer: object) -> None:
    """Give the table 4.5 M rows: all ids of the data's vocabulary, and others."""
    import pyarrow.parquet as pq

    from esmm_dist.embedding.table_rows import TableRows

    store, config = trainer.store, trainer.config  # type: ignore[attr-defined]
    known = pq.read_table(config.data / "vocabulary.parquet")["feature_id"].to_numpy()
    others = np.arange(1 << 40, (1 << 40) + TABLE_ROWS - len(known), dtype=np.int64)
    ids = np.concatenate([known, others])
    np.random.default_rng(0).shuffle(ids)
    dim = config.embedding.embedding_dim
    slots = config.embedding.make_optimizer().slot_columns(dim)
    for start in range(0, len(ids), 500_000):
        part = ids[start : start + 500_000]
        ones = np.ones(len(part), dtype=np.int64)
        rows = TableRows(
            ids=part,
            rows=np.full((len(part), dim), 0.01, dtype=np.float32),
            slots=np.full((len(part), slots), 0.1, dtype=np.float32),
            last_step=ones,
            count=ones,
        )
        store.load("main", rows)


class Stopwatch:
    """Wall and CPU seconds of a ``with`` block, over all threads of the process."""

    def __enter__(self) -> "Stopwatch":
        """Start."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._wall, self._cpu = time.monotonic() - self._wall, time.process_time() - self._cpu

    def report(self, name: str, impressions: int) -> None:
        """Print rates."""
        print(
            f"{name:28s} {impressions / self._wall:10,.0f} impressions/s  "
            f"{impressions / self._cpu:10,.0f} impressions a core-second  "
            f"({self._cpu:.2f} CPU-s, {self._wall:.2f} s, {impressions:,} impressions)",
            flush=True,
        )


if __name__ == "__main__":
    main()
