"""What the tests of the step run on every rank: steps on the rank's share of batches, with rows that stay as they are.

``step_program.py DATA OUT``: writes ``OUT/rank-R.npz``. Without Horovod's environment it is the one process to compare
with.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.dense_state import dense_state
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import ModelInputs, model_inputs
from esmm_dist.ranks.open_world import open_world
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.compiled_step import CompiledStep, StepRequests, StepResult

DIM = 4
BATCH_RECORDS = 8


def run(data: Path, out: Path) -> None:
    """Make an epoch of steps, one that is not finite on rank 1, and one after which rank 1 wants to stop."""
    world = open_world()
    manifest = read_manifest(data)
    schema = manifest.schema
    model = Esmm(schema, EmbeddingConfig(embedding_dim=DIM), ModelConfig(hidden_units=(8,)), seed=3 + world.rank)
    optimizer = keras.optimizers.Adam(0.01)
    step = CompiledStep(
        model,
        optimizer,
        task_weights=(1.0, 2.0),
        seed=3,
        world=world,
        has_sample_weights=schema.has_sample_weights,
    )
    world.broadcast_variables([*model.weights, *optimizer.variables])
    reader = BatchReader(
        data,
        manifest,
        "train",
        InputConfig(global_batch_records=BATCH_RECORDS),
        share=RankShare(rank=world.rank, world_size=world.size),
    )
    plan, start = LookupPlan(schema), StartValues(embedding_dim=DIM, scale=0.5, seed=1)
    results: list[StepResult] = []
    shares: list[int] = []
    ids: list[np.ndarray] = []
    inputs: list[ModelInputs] = []
    for number, batch in enumerate(reader.epoch(0, seed=3), start=1):
        lookups = plan.prepare(batch)
        ids.append(lookups["main"].ids)
        rows = start.rows(ids[-1]) if len(ids[-1]) else np.empty((0, DIM), np.float32)
        inputs.append(model_inputs(batch, lookups, {"main": rows}))
        shares.append(batch.num_impressions)
        results.append(step(inputs[-1], number))
    dense = dense_state(model, optimizer)
    tensors = inputs[0].tensors
    nan = inputs[0]._replace(tensors=tensors._replace(pooled={"main": tensors.pooled["main"] * np.nan}))
    broken = step(nan if world.rank == 1 else inputs[0], len(results) + 1)
    unchanged = all(np.array_equal(dense[name], value) for name, value in dense_state(model, optimizer).items())
    stopping = step(inputs[0], len(results) + 2, StepRequests(stop=world.rank == 1))
    sums = np.zeros((10_000, DIM))  # over the epoch, by id
    for of_step, result in zip(ids, results, strict=True):
        sums[of_step] += result.gradient_sums["main"]
    np.savez(
        out / f"rank-{world.rank}.npz",
        loss_sums=[result.loss_sums for result in results],
        impressions=[result.impressions for result in results],
        weights=[result.weight for result in results],
        shares=shares,
        row_sums=sums,
        broken=[broken.finite, broken.at_fault, unchanged],
        requests=[results[0].requests, stopping.requests],
        **{f"dense/{name}": value for name, value in dense.items()},
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
