"""Every objective with every network: a step learns, and the exported graph predicts what the model does."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.calibration.curves import PlattScaling
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.inference.exported_model import ExportedModel
from esmm_dist.inference.exported_table import ExportedTable
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, prepare_rows, pull_rows
from esmm_dist.model.network_names import NETWORKS
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.model.towers import network_class
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train.compiled_step import CompiledStep
from tests.unit.model.test_attended_lists import BATCH as PAIR_BATCH
from tests.unit.model.test_attended_lists import SCHEMA as PAIR_SCHEMA

SEED = 5
SCHEMA = replace(PAIR_SCHEMA, labels=("click", "cart", "purchase", "favourite after click"))
BATCH = replace(PAIR_BATCH, labels=np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]))
SHARES = LabelShares(of_labels=(0.5, 0.2, 0.1, 0.1), keep_negatives=0.5)
PAIRS = [(objective, network) for objective in objective_names() for network in NETWORKS]
"""A few at each run of the checks: each network and each objective once."""


def in_short(number: int) -> bool:
    objective, network = divmod(number, len(NETWORKS))
    return network == objective % len(NETWORKS)


def model_of(objective: Any, network: str, **settings: Any) -> tuple[Esmm, EmbeddingConfig]:
    shared = True if network_class(network).always_shared else None
    config = ModelConfig(
        objective=objective,
        network=(network,),
        share_embeddings=shared,
        hidden_units=(6,),
        linear_scale=0.5,
        **settings,
    )
    embedding = EmbeddingConfig(embedding_dim=8, start_scale=1.0, row_slices=config.row_slices(len(SCHEMA.labels)))
    return Esmm(SCHEMA, embedding, config, seed=1, label_shares=SHARES), embedding


@pytest.mark.parametrize(
    ("objective", "network"),
    [
        pytest.param(*pair, marks=() if in_short(number) else pytest.mark.slow, id="-".join(pair))
        for number, pair in enumerate(PAIRS)
    ],
)
def test_a_step_learns_and_the_export_predicts_what_the_model_does(objective, network):
    model, embedding = model_of(objective, network)
    plan = LookupPlan(SCHEMA, seen_fields=model.seen_fields, lists=model.layout.attended)
    lookups = plan.prepare(BATCH)
    store = EmbeddedStore(SCHEMA.tables, embedding, seed=SEED)
    inputs = model_inputs(BATCH, lookups, pull_rows(store, prepare_rows(store, lookups)))
    step = CompiledStep(model, keras.optimizers.SGD(0.05), task_weights=(1.0, 1.0, 0.5, 1.0), seed=1, world=SoloWorld())
    before = [variable.numpy() for variable in model.trainable_variables]
    result = step(inputs, 1)
    assert result.finite
    assert np.isfinite(result.loss_sums).all()
    assert all(np.isfinite(sums).all() and sums.any() for sums in result.gradient_sums.values())
    moved = [np.any(v.numpy() != old) for v, old in zip(model.trainable_variables, before, strict=True)]
    assert sum(moved) >= len(model.towers)
    logits = CompiledForward(model)(inputs)
    assert logits.shape == (3, 4)

    transform = LogitTransform(
        keep_negatives=0.5, curves=tuple(PlattScaling(slope=1.0 + k / 8, intercept=k / 4) for k in range(4))
    )
    empty = {t: SortedRows(ids=np.empty(0, np.int64), rows=np.empty((0, dim), np.float32)) for t, dim in dims(model)}
    tables = {
        table: ExportedTable(empty[table], start_values(dim), seed=SEED, name=table) for table, dim in dims(model)
    }
    found = ExportedModel(SCHEMA, ExportedTowers(SCHEMA, model, transform), tables).signatures()["features"](
        tf.constant(BATCH.user_ids, tf.int64),
        tf.constant(BATCH.user_lengths, tf.int64),
        tf.constant(BATCH.impression_ids, tf.int64),
        tf.constant(BATCH.impression_lengths, tf.int64),
        tf.constant(BATCH.impressions_per_group, tf.int64),
        tf.constant(BATCH.user_weights, tf.float32),
    )
    tree = SCHEMA.label_tree
    for name, expected in zip(tree.columns, probabilities(transform(logits), tree), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=2e-6)


def dims(model: Esmm) -> list[tuple[str, int]]:
    return list(model.dim_by_table.items())


def start_values(dim: int) -> StartValues:
    return StartValues(embedding_dim=dim, scale=1.0, seed=SEED)
