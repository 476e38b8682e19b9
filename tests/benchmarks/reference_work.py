"""The work that the figures are of: a log with Ali-CCP's list lengths, a table of 4.5 M rows, a large log's settings.

``esmm synth`` with full-length lists (617 ids an impression) and full id ranges, groups of up to 8 or up to 64
impressions, D = 16, towers 256-128 twice, Adagrad rows, Adam towers, about 4,096 impressions a global batch. What
training would choose from the log's size is given: this log counts as small, and the work is that of a large one.
"""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.input.config import InputConfig
from esmm_dist.model.config import ModelConfig
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.train.config import CheckpointConfig, DenseOptimizerConfig, EvaluationConfig, TrainConfig
from tests.benchmarks.figures import Scale, StepClock, Times
from tests.benchmarks.peers import WARM_STEPS

TABLE_ROWS = 4_519_539
"""Ids of Ali-CCP that are seen at least 20 times."""

GROUP_SIZES = (8, 64)
BATCH_IMPRESSIONS = 4096
_WHOLE, _QUICK = 200_000, 40_000
_LANES = {8: 64, 64: 8}
"""A batch is a whole number of records of each lane: of 64-impression groups few fit in 4,096 impressions"""

ESMM = [sys.executable, "-m", "launcher"]


def raw_log(scale: Scale) -> Path:
    """Return the folder of the raw log, made unless it is there: 200,000 impressions, a quarter in test."""
    impressions = scale.of(_WHOLE, _QUICK)
    raw = scale.folder / f"raw-{impressions}"
    if not (raw / "synth.json").is_file():
        lists = ["--list-scale", "1", "--dimension-scale", "1"]
        run_esmm(["synth", str(raw), "--impressions", str(impressions), *lists])
    return raw


def data_set(scale: Scale, group_size: int, schema_name: str = "aliccp-full") -> Path:
    """Return the folder of the data set with groups of up to ``group_size`` impressions, made unless it is there."""
    of_schema = "" if schema_name == "aliccp-full" else f"-{schema_name}"
    data = scale.folder / f"data-{scale.of(_WHOLE, _QUICK)}-g{group_size}{of_schema}"
    if not (data / "manifest.json").is_file():
        schema = ["--schema", schema_name, "--min-count", "1"]
        groups = ["--group-size", str(group_size), "--lanes", str(_LANES[group_size])]
        run_esmm(["preprocess", str(raw_log(scale)), str(data), *schema, *groups])
    return data


def batch_records(manifest: DatasetManifest) -> int:
    """Return the records of a batch of about 4,096 impressions: a multiple of the lanes."""
    train = manifest.splits["train"]
    lanes = BATCH_IMPRESSIONS * train.records / train.impressions / manifest.lanes
    return max(round(lanes), 1) * manifest.lanes


def reference_config(data: Path, run: Path, *, epochs: int) -> TrainConfig:
    """Return the settings: those of a large log, all given, at a constant rate, without checkpoints and evaluation."""
    return TrainConfig(
        data=data,
        run=str(run),
        cooldown=0.0,
        input=InputConfig(global_batch_records=batch_records(read_manifest(data)), epochs=epochs),
        embedding=EmbeddingConfig(embedding_learning_rate=0.05, start_scale=0.01, start_accumulator=0.1),
        model=ModelConfig(hidden_units=(256, 128), linear_scale=0.0),
        dense=DenseOptimizerConfig(dense_learning_rate=1e-3),
        evaluation=EvaluationConfig(eval_split="none", baseline=False),
        checkpoint=CheckpointConfig(checkpoint_every_steps=0),
    )


def fill(store: Any, config: TrainConfig, rows: int = TABLE_ROWS) -> None:
    """Give the table so many rows: all ids of the data's vocabulary as new ones, and others.

    Args:
        store: embedded store of a trainer
        config: the trainer's settings
        rows: rows of the table afterwards; fewer than the vocabulary's are made as many
    """
    import pyarrow.parquet as pq

    from esmm_dist.embedding.start_values import StartValues
    from esmm_dist.embedding.table_rows import TableRows

    known = pq.read_table(config.data / "vocabulary.parquet")["feature_id"].to_numpy()
    others = np.arange(1 << 40, (1 << 40) + max(rows - len(known), 0), dtype=np.int64)
    ids = np.concatenate([known, others])
    np.random.default_rng(0).shuffle(ids)
    dim, embedding = config.embedding.embedding_dim, config.embedding
    slots = embedding.make_optimizer().slot_columns(dim)
    start_values = StartValues(embedding_dim=dim, scale=embedding.start_range, seed=config.seed)
    for start in range(0, len(ids), 500_000):
        part = ids[start : start + 500_000]
        ones = np.ones(len(part), dtype=np.int64)
        rows_of_part = TableRows(
            ids=part,
            rows=start_values.rows(part),
            slots=np.full((len(part), slots), embedding.first_accumulator, dtype=np.float32),
            last_step=ones,
            count=ones,
        )
        store.load("main", rows_of_part)


def train_timed(trainer: Any, clock: StepClock) -> tuple[int, Times]:
    """Train all epochs; return impressions and times without the first steps, which compile.

    In one go: a training that pauses begins to read anew, which takes as long as several steps of so small a log.

    Args:
        trainer: a trainer that has made no step
        clock: its progress
    """
    from esmm_dist.input.pipeline import BatchReader

    config = trainer.config
    reader = BatchReader(config.data, read_manifest(config.data), "train", config.input)
    first = itertools.islice(reader.epoch(0, seed=config.seed), WARM_STEPS)
    impressions = trainer.train_steps(10**9) - sum(batch.num_impressions for batch in first)
    return impressions, clock.after(WARM_STEPS)


def run_esmm(arguments: list[str]) -> None:
    """Run a command of this project, its output to stderr."""
    subprocess.run([*ESMM, *arguments], check=True, stdout=sys.stderr)
