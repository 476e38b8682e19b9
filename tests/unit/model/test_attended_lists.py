"""Lists that networks attend to, from the rows of a batch to what a network gets, and back to the rows' gradients."""

from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import ModelInputs, model_inputs, outputs_of_inputs, prepare_rows, pull_rows
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.train.compiled_step import CompiledStep
from tests.support.tiny_dataset import tiny_schema

HERE = "tests.unit.model.test_attended_lists"
OWN = "tests.unit.model.own_networks:FirstColumn"
SCHEMA = tiny_schema(
    fields=(
        Field(name="user", owner="user", table="x"),
        Field(name="seen", owner="user", multi_hot=True, weighted=True, table="y", max_ids=2, attended_by="item"),
        Field(name="shops", alias="the shops", owner="user", multi_hot=True, combiner="mean", table="x"),
        Field(name="item", alias="the item", owner="item", table="y"),
        Field(name="shop", owner="item", multi_hot=True, table="x"),
    )
)
EMBEDDING = EmbeddingConfig(embedding_dim=4, start_scale=1.0)
# Two users with one and two impressions
BATCH = GroupedBatch(
    user_ids=np.array([10, 20, 21, 22, 50, 51, 11, 20]),
    user_lengths=np.array([1, 3, 2, 1, 1, 0]),
    user_weights=np.array([1, 2, 3, 4, 1, 1, 1, 0.5], dtype=np.float32),
    impression_ids=np.array([30, 51, 31, 20, 52, 53]),
    impression_lengths=np.array([1, 1, 1, 0, 1, 2]),
    impression_weights=None,
    impressions_per_group=np.array([1, 2]),
    sample_ids=np.array([1, 2, 3]),
    labels=np.array([[1, 1], [0, 0], [1, 0]]),
)


class Recording(BaseNetwork):
    """Gives of all that it sees the weighted sum of squares of the first list's rows, and keeps what it got."""

    wants_lists = True
    got: ClassVar[list[Any]] = []

    def call(self, pooled: Any, dropout_seed: Any = None) -> tf.Tensor:
        self.got[:] = [pooled.lists, self.layout.attended]
        listed = next(iter(pooled.lists.values()))
        group = tf.repeat(tf.range(tf.size(listed.lengths)), listed.lengths)
        squares = tf.reduce_sum(listed.weights[:, None] * listed.rows**2, axis=1, keepdims=True)
        sums = tf.math.unsorted_segment_sum(squares, group, tf.size(listed.lengths))
        return tf.concat([tf.gather(sums, pooled.group_of_impression)] * self.outputs, axis=1)


def inputs_of(model: Esmm, batch: GroupedBatch = BATCH, schema: Schema = SCHEMA) -> tuple[ModelInputs, dict[int, Any]]:
    plan = LookupPlan(schema, seen_fields=model.seen_fields, lists=model.layout.attended)
    lookups = plan.prepare(batch)
    rows = pull_rows(store := EmbeddedStore(schema.tables, EMBEDDING, seed=5), prepare_rows(store, lookups))
    by_id = {int(i): row for t in lookups for i, row in zip(lookups[t].ids, rows[t], strict=True)}
    return model_inputs(batch, lookups, rows, with_norms=model.uses_norms), by_id


def model_of(**settings: Any) -> Esmm:
    return Esmm(SCHEMA, EMBEDDING, ModelConfig(**{"network": (f"{HERE}:Recording",), **settings}), seed=1)


def lists_of(model: Esmm) -> tuple[dict[str, Any], dict[int, Any]]:
    """Return what the model's networks get, and the rows by id."""
    inputs, rows = inputs_of(model)
    outputs_of_inputs(model, inputs.tensors)
    return Recording.got[0], rows


def test_a_network_gets_rows_lengths_and_weights_of_the_attended_lists_group_after_group():
    lists, rows = lists_of(model_of())
    assert list(lists) == ["seen"]
    np.testing.assert_array_equal(lists["seen"].rows, [rows[20], rows[21], rows[20]])  # cut to two
    assert lists["seen"].lengths.numpy().tolist() == [2, 1]
    assert lists["seen"].weights.numpy().tolist() == [2.0, 3.0, 0.5]
    assert Recording.got[1] == {"seen": "item"}


def test_several_lists_of_several_tables_have_weights_with_their_combiner():
    lists, rows = lists_of(model_of(attend=("the shops=shop", "seen=the item")))
    assert Recording.got[1] == {"seen": "item", "shops": "shop"}
    np.testing.assert_array_equal(lists["seen"].rows, [rows[20], rows[21], rows[20]])
    np.testing.assert_array_equal(lists["shops"].rows, [rows[50], rows[51]])
    assert lists["shops"].weights.numpy().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("linear_lists", ["pooled", "unit"])
def test_networks_do_not_see_the_columns_of_the_linear_term_and_it_does_not_see_elements(linear_lists):
    model = model_of(linear_scale=3.0, linear_lists=linear_lists)
    lists, rows = lists_of(model)
    np.testing.assert_array_equal(lists["seen"].rows, np.array([rows[20], rows[21], rows[20]])[:, 2:])
    plain = Esmm(SCHEMA, EMBEDDING, ModelConfig(linear_scale=3.0, linear_lists=linear_lists), seed=1)
    for variable in plain.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    logits = CompiledForward(model)(inputs_of(model)[0])
    linear = CompiledForward(plain)(inputs_of(plain)[0])
    squares = [sum(w * np.sum(rows[i][2:] ** 2) for i, w in ((20, 2.0), (21, 3.0))), 0.5 * np.sum(rows[20][2:] ** 2)]
    expected = linear + np.array([squares[0], squares[1], squares[1]])[:, None]
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_fields_that_the_model_does_not_see_are_no_lists():
    model = model_of(fields=("seen", "item"), attend=())
    assert list(lists_of(model)[0]) == ["seen"]
    with pytest.raises(ConfigError, match="attends to lists of the user, but schema 'tiny' says of no list"):
        model_of(fields=("user", "item"))
    with pytest.raises(
        ConfigError, match="says of no list which field attends to it .*. Name them, as in --attend seen=shop"
    ):
        model_of(fields=("seen", "shop"))  # what attends to the list is not seen


def test_gradients_of_elements_reach_their_rows():
    """The loss of the first label has Σ w·row² of the group's list in its logit."""
    model = model_of()
    optimizer = keras.optimizers.SGD(0.0)
    step = CompiledStep(model, optimizer, task_weights=(1.0, 0.0), seed=1, world=SoloWorld())
    inputs, rows = inputs_of(model)
    result = step(inputs, 1)
    gradients = dict(zip(inputs.lookups["y"].ids.tolist(), result.gradient_sums["y"], strict=True))
    logits = CompiledForward(model)(inputs)[:, 0]
    errors = 1 / (1 + np.exp(-logits)) - BATCH.labels[:, 0]  # of the impressions of group 0, 1, 1
    # id 20 is in both lists, with weights 2 and 0.5; pooled vectors have no gradient in this network
    np.testing.assert_allclose(
        gradients[20], 2 * rows[20] * (2.0 * errors[0] + 0.5 * (errors[1] + errors[2])), rtol=1e-4
    )
    np.testing.assert_allclose(gradients[21], 2 * rows[21] * 3.0 * errors[0], rtol=1e-4)
    assert np.all(gradients[30] == 0)


def test_an_empty_share_of_a_batch_makes_a_step():
    model = Esmm(SCHEMA, EMBEDDING, ModelConfig(network=("din",), hidden_units=(3,)), seed=1)
    inputs, _ = inputs_of(model, empty_batch(SCHEMA))
    step = CompiledStep(model, keras.optimizers.SGD(0.1), task_weights=(1.0, 1.0), seed=1, world=SoloWorld())
    result = step(inputs, 1)
    assert (result.impressions, result.finite) == (0, True)
    assert result.gradient_sums["y"].shape == (0, 4)


def test_no_list_is_looked_up_where_no_network_wants_one():
    model = Esmm(SCHEMA, EMBEDDING, ModelConfig(), seed=1)
    assert model.layout.attended == {}
    inputs, _ = inputs_of(model)
    assert inputs.tensors.lists == {}
    assert all(lookup.num_elements == 0 for lookup in inputs.lookups.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"attend": ("seen=item",), "network": (OWN,)},
            rf"attend is seen=item, but no network here attends to lists \(network: {OWN}\). Set network: din",
        ),
        ({"attention_units": (3,), "network": (OWN,)}, "attention_units is 3, but no network here attends to lists"),
        (
            {"network": ("din",), "attention_units": (0,)},
            r"attention_units is \[0\]. Every layer needs at least 1 unit",
        ),
        ({"network": ("din",), "attend": ("shops=seen",)}, "the owner of 'seen' is user"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Esmm(SCHEMA, EMBEDDING, ModelConfig(**settings), seed=1)


def test_a_schema_that_names_no_list_is_refused_with_a_setting_that_helps():
    schema = tiny_schema()
    with pytest.raises(ConfigError, match="says of no list .* Name them, as in --attend history=item, or take another"):
        Esmm(schema, EMBEDDING, ModelConfig(network=("din",)), seed=1)
    Esmm(schema, EMBEDDING, ModelConfig(network=("din",), attend=("history=item",)), seed=1)
    items = tiny_schema(fields=schema.fields[2:])
    with pytest.raises(ConfigError, match="It has none that could be; take another network, such as --network mlp"):
        Esmm(items, EMBEDDING, ModelConfig(network=("din",)), seed=1)


def test_rows_of_different_widths_are_refused():
    wide = EmbeddingConfig(embedding_dim=4, embedding_dim_by_table={"y": 6})
    with pytest.raises(
        ConfigError, match="'shop' attends to the list 'seen', but networks see 4 columns of its rows and 6"
    ):
        Esmm(SCHEMA, wide, ModelConfig(network=("din",), attend=("seen=shop",)), seed=1)
