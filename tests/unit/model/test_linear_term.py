"""The linear term beside the towers."""

import numpy as np
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, prepare_rows, pull_rows
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import tiny_schema

SCHEMA = tiny_schema(fields=(Field(name="user", owner="user", table="x"), Field(name="item", owner="item", table="y")))
DIMS = EmbeddingConfig(embedding_dim=3, embedding_dim_by_table={"y": 5}, start_scale=1.0)
# user 10 with item 30; user 11 with items 31 and 32
BATCH = GroupedBatch(
    user_ids=np.array([10, 11]),
    user_lengths=np.array([1, 1]),
    user_weights=None,
    impression_ids=np.array([30, 31, 32]),
    impression_lengths=np.ones(3, dtype=np.int64),
    impression_weights=None,
    impressions_per_group=np.array([1, 2]),
    sample_ids=np.array([1, 2, 3]),
    labels=np.zeros((3, 2), dtype=np.int64),
)


def logits_and_rows(model: Esmm) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    lookups = LookupPlan(SCHEMA).prepare(BATCH)
    store = EmbeddedStore(SCHEMA.tables, DIMS, seed=5)
    pulled = pull_rows(store, prepare_rows(store, lookups))
    forward = CompiledForward(model)
    rows = {int(id_): row for t in lookups for id_, row in zip(lookups[t].ids, pulled[t], strict=True)}
    return forward(model_inputs(BATCH, lookups, pulled, with_norms=model.uses_norms)), rows


def test_the_first_columns_are_summed_over_the_fields_and_scaled():
    model = Esmm(SCHEMA, DIMS, ModelConfig(hidden_units=(), linear_scale=3.0), seed=1)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))  # silences the towers
    logits, rows = logits_and_rows(model)
    expected = [3 * (rows[user][:2] + rows[item][:2]) for user, item in ((10, 30), (11, 31), (11, 32))]
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


def test_the_towers_see_the_other_columns_only():
    model = Esmm(SCHEMA, DIMS, ModelConfig(hidden_units=(), linear_scale=3.0), seed=1)
    kernels = [tuple(v.shape) for v in model.towers[0].trainable_variables if "kernel" in v.name]
    assert kernels == [(1, 1), (3, 1)]  # 3 - 2 columns of the user, 5 - 2 of the item
    logits, rows = logits_and_rows(model)
    weights = {v.name: v.numpy() for v in model.towers[0].trainable_variables}
    tower = rows[11][2:] @ weights["kernel_0_user"] + rows[32][2:] @ weights["kernel_0_impression"]
    assert logits[2, 0] == pytest.approx(tower[0] + 3 * (rows[11][0] + rows[32][0]), rel=1e-5)


def test_rows_without_a_column_left_for_the_towers_are_refused():
    narrow = EmbeddingConfig(embedding_dim=2)
    message = "Table 'x': embedding_dim is 2, but with linear_scale 3.0 the first 2 columns are the linear term's"
    with pytest.raises(ConfigError, match=message):
        Esmm(SCHEMA, narrow, ModelConfig(linear_scale=3.0), seed=1)


def test_a_negative_scale_is_refused():
    with pytest.raises(ConfigError, match="linear_scale is -1.0. Set 0 or more"):
        ModelConfig(linear_scale=-1.0)


def test_a_list_counts_like_one_id_if_lists_are_of_unit_length():
    schema = tiny_schema(
        fields=(
            Field(name="user", owner="user", table="x", multi_hot=True, weighted=True),
            Field(name="item", owner="item", table="x", multi_hot=True, combiner="mean"),
        )
    )
    # user 1 and 2 with weights 3 and 4, whose length is 5; items 3 and 4, whose mean's weights are less than 1 long
    batch = GroupedBatch(
        user_ids=np.array([1, 2]),
        user_lengths=np.array([2, 0]),  # the second group has no user
        user_weights=np.array([3.0, 4.0], dtype=np.float32),
        impression_ids=np.array([3, 4, 3]),
        impression_lengths=np.array([2, 1]),
        impression_weights=None,
        impressions_per_group=np.array([1, 1]),
        sample_ids=np.array([1, 2]),
        labels=np.zeros((2, 2), dtype=np.int64),
    )
    config = ModelConfig(hidden_units=(), linear_scale=2.0, linear_lists="unit")
    model = Esmm(schema, EmbeddingConfig(embedding_dim=3, start_scale=1.0), config, seed=1)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))  # silences the towers
    lookups = LookupPlan(schema).prepare(batch)
    store = EmbeddedStore(("x",), EmbeddingConfig(embedding_dim=3, start_scale=1.0), seed=5)
    pulled = pull_rows(store, prepare_rows(store, lookups))
    logits = CompiledForward(model)(model_inputs(batch, lookups, pulled, with_norms=model.uses_norms))
    row = {int(id_): values[:2] for id_, values in zip(lookups["x"].ids, pulled["x"], strict=True)}
    expected = [2 * ((3 * row[1] + 4 * row[2]) / 5 + (row[3] + row[4]) / 2), 2 * row[3]]
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
