"""Runs of two checkpoints, exported for serving, and what predict says of their test splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from esmm_dist.arrays import F32
from esmm_dist.config import build
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Schema
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, tiny_groups, write_dataset

Scores = dict[int, dict[str, float]]
"""Columns of predictions by sample id."""


def train_tiny(folder: Path, schema: Schema, test: list[Group], model: dict[str, Any]) -> Path:
    """Train on tiny groups, with checkpoints at steps 3 and 5; return the run."""
    if not (folder / "data").exists():
        write_dataset(folder / "data", {"train": tiny_groups(80), "test": test}, schema=schema)
    items = 4 if model.get("network") in (["din"], ["deepfm"]) else 6  # these multiply rows of both tables
    run = folder / "-".join(map(str, model.get("network", ["mlp"])))
    settings = {
        "data": folder / "data",
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4, "embedding_dim_by_table": {"items": items}, "start_scale": 0.5},
        "model": {"hidden_units": [8, 4], **model},
        "checkpoint": {"checkpoint_every_steps": 3},
        "evaluation": {"baseline": False},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return run


def exported(run: Path, out: Path, **settings: Any) -> Path:
    """Export what esmm serve needs; return the version."""
    export(ExportConfig(run=str(run), out=out, form="shards", **settings), NoProgress())
    return out


def predicted(run: Path, data: Path, step: int | None = None) -> Scores:
    """Return what predict says of the test split."""
    out = run.with_name(f"{run.name}-{step}.parquet")
    predict(PredictConfig(run=str(run), step=step, data=data, out=out), NoProgress())
    return {row.pop("sample_id"): row for row in pq.read_table(out).to_pylist()}


def assert_scores(found: dict[str, F32], sample_ids: Sequence[int], expected: Scores) -> None:
    """Check that scores are those of predict, to what another shape of a matrix product changes."""
    assert len(sample_ids)
    for name in expected[sample_ids[0]]:
        np.testing.assert_allclose(
            found[name], [expected[sample_id][name] for sample_id in sample_ids], rtol=1e-6, atol=0, err_msg=name
        )


def packed(batch: GroupedBatch) -> dict[str, Any]:
    """Return a batch as a request of the form ``features``."""
    names = ("user_ids", "user_lengths", "user_weights", "impression_ids", "impression_lengths", "impression_weights")
    lists = {name: getattr(batch, name) for name in (*names, "impressions_per_group")}
    return {name: values.tolist() for name, values in lists.items() if values is not None}


def short_of(group: Group, schema: Schema) -> dict[str, Any]:
    """Return a group of an Ali-CCP form log as a request of the short form."""

    def columns(fields: Any, values: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, of_field in zip(fields, values, strict=True):
            ids, weights = [id_ for id_, _ in of_field], [weight for _, weight in of_field]
            found[field.name] = ids if field.multi_hot else (ids[0] if ids else None)
            if field.weighted:
                found[f"{field.name}_weights"] = weights
        return found

    candidates = [columns(schema.impression_fields, each.fields) for each in group.impressions]
    return {**columns(schema.user_fields, group.fields), "candidates": candidates}
