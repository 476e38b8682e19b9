"""The whole model: towers over shared pooled fields, its forward pass, its state as arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.dense_state import dense_state, load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, prepare_rows, pull_rows
from esmm_dist.schema.fields import Field, Schema
from tests.support.tiny_dataset import tiny_schema

TWO_TABLES = tiny_schema(
    fields=(
        Field(name="a", owner="user", table="x"),
        Field(name="b", owner="user", table="y"),
        Field(name="c", owner="item", table="y"),
        Field(name="d", owner="item", table="x"),
    )
)
DIMS = EmbeddingConfig(embedding_dim=2, embedding_dim_by_table={"y": 3}, start_scale=1.0)
# two groups, of one and of two impressions; every field has one id, but user 1 has no b
BATCH = GroupedBatch(
    user_ids=np.array([10, 20, 11]),
    user_lengths=np.array([1, 1, 1, 0]),
    user_weights=None,
    impression_ids=np.array([30, 40, 31, 41, 32, 42]),
    impression_lengths=np.ones(6, dtype=np.int64),
    impression_weights=None,
    impressions_per_group=np.array([1, 2]),
    sample_ids=np.array([1, 2, 3]),
    labels=np.array([[1, 0], [1, 1], [0, 0]]),
)


def make(schema: Schema = TWO_TABLES, seed: int = 1, **settings) -> Esmm:
    return Esmm(schema, DIMS, ModelConfig(**{"hidden_units": (4,), **settings}), seed=seed)


def forward(model: Esmm, batch: GroupedBatch = BATCH) -> np.ndarray:
    lookups = LookupPlan(TWO_TABLES).prepare(batch)
    store = EmbeddedStore(TWO_TABLES.tables, DIMS, seed=5)
    compiled = CompiledForward(model)
    return compiled(model_inputs(batch, lookups, pull_rows(store, prepare_rows(store, lookups))))


def test_logits_are_those_of_each_tower_on_the_concatenated_fields():
    model = make()
    store = EmbeddedStore(TWO_TABLES.tables, DIMS, seed=5)

    def row(table: str, id_: int) -> list[float]:
        return [float(value) for value in store.pull(store.prepare(table, np.array([id_])))[0]]

    # columns: table x's user fields, then y's; likewise for the impressions
    user = np.array([row("x", 10) + row("y", 20), row("x", 11) + [0.0] * 3])
    impression = np.array([row("x", d) + row("y", c) for c, d in ((30, 40), (31, 41), (32, 42))])
    inputs = np.concatenate([user[[0, 1, 1]], impression], axis=1)
    logits = forward(model)
    for number, tower in enumerate(model.towers):
        kernel_user, kernel_impression, bias_0, kernel_1, bias_1 = (_by_name(tower)[name] for name in _NAMES)
        hidden = np.maximum(inputs @ np.concatenate([kernel_user, kernel_impression]) + bias_0, 0)
        np.testing.assert_allclose(logits[:, number], (hidden @ kernel_1 + bias_1)[:, 0], rtol=1e-5, atol=1e-6)


_NAMES = ("kernel_0_user", "kernel_0_impression", "bias_0", "kernel_1", "bias_1")


def _by_name(tower) -> dict[str, np.ndarray]:
    return {variable.name: variable.numpy() for variable in tower.trainable_variables}


def test_the_forward_pass_has_no_dropout():
    np.testing.assert_array_equal(forward(make(dropout=(0.9,))), forward(make(dropout=(0.0,))))


def test_towers_start_apart_and_follow_the_seed():
    one, same, other = make(seed=1), make(seed=1), make(seed=2)
    kernels = [[_by_name(tower)["kernel_0_user"] for tower in model.towers] for model in (one, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.all(kernels[0][0] != kernels[0][1])
    assert np.all(kernels[0][0] != kernels[2][0])


def test_a_chain_of_three_labels_has_three_towers():
    schema = tiny_schema(labels=("click", "cart", "conversion"))
    model = Esmm(schema, EmbeddingConfig(embedding_dim=2), ModelConfig(hidden_units=()), seed=1)
    pooled = {"main": tf.ones([2 * 2 + 2 * 3, 2])}
    logits = model(pooled, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64))
    assert logits.shape == (3, 3)


def test_towers_have_dropout_masks_of_their_own():
    schema = tiny_schema()
    config = ModelConfig(hidden_units=(50,), dropout=(0.5,))
    model = Esmm(schema, EmbeddingConfig(embedding_dim=2), config, seed=1)
    for variable, other in zip(model.towers[1].variables, model.towers[0].variables, strict=True):
        variable.assign(other.value)
    args = ({"main": tf.ones([8, 2])}, tf.constant([0, 1], tf.int64), tf.constant(2, tf.int64))
    same = model(*args).numpy()
    np.testing.assert_array_equal(same[:, 0], same[:, 1])
    dropped = model(*args, dropout_seed=tf.constant([1, 1])).numpy()
    assert np.all(dropped[:, 0] != dropped[:, 1])


def test_a_users_own_network_is_used():
    model = make(network=("tests.unit.model.own_networks:FirstColumn",))
    logits = forward(model)
    store = EmbeddedStore(TWO_TABLES.tables, DIMS, seed=5)
    first = store.pull(store.prepare("x", np.array([10, 11])))[:, 0]
    np.testing.assert_array_equal(logits, np.stack([first[[0, 1, 1]]] * 2, axis=1))


def test_an_unknown_network_is_refused():
    with pytest.raises(ConfigError, match="network is 'cnn'"):
        make(network=("cnn",))


def trained_pair() -> tuple[Esmm, keras.optimizers.Optimizer]:
    model = make()
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)
    return model, optimizer


def test_state_read_into_a_fresh_model_makes_it_equal():
    model, optimizer = trained_pair()
    state = dense_state(model, optimizer)
    assert len(state) == len(model.variables) + len(optimizer.variables)
    other, fresh = make(seed=9), keras.optimizers.Adam(0.1)
    fresh.build(other.trainable_variables)
    load_dense(other, fresh, state)
    for name, array in dense_state(other, fresh).items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    assert int(fresh.iterations.numpy()) == 1


def test_weights_alone_can_be_read_without_an_optimizer():
    model, optimizer = trained_pair()
    other = make(seed=9)
    load_dense(other, None, dense_state(model, optimizer))
    np.testing.assert_array_equal(forward(other), forward(model))


def test_state_is_a_copy():
    model, optimizer = trained_pair()
    state = dense_state(model, optimizer)
    name = next(iter(state))
    before = state[name].copy()
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)
    np.testing.assert_array_equal(state[name], before)


def test_weights_of_mlp_have_the_names_that_checkpoints_have_had_from_the_first():
    model, optimizer = trained_pair()
    of_tower = ["kernel_0_user", "kernel_0_impression", "bias_0", "kernel_1", "bias_1"]
    names = [name for name in dense_state(model, optimizer) if name.startswith("model/")]
    assert names == [f"model/{place:03d}/{name}" for place, name in enumerate(of_tower * 2)]


def test_a_missing_variable_is_named_and_nothing_is_set():
    model, optimizer = trained_pair()
    state = dense_state(model, optimizer)
    name = next(n for n in state if "kernel_1" in n)
    del state[name]
    other = make(seed=9)
    before = forward(other)
    with pytest.raises(CheckpointError, match=f"no dense variable '{name}'. It was made with other model settings"):
        load_dense(other, None, state)
    np.testing.assert_array_equal(forward(other), before)


def test_a_variable_of_another_shape_is_named_with_both():
    model, optimizer = trained_pair()
    message = r"'model/000/kernel_0_user' has shape \[5, 4\] in the checkpoint and \[5, 6\] in the model"
    with pytest.raises(CheckpointError, match=message):
        load_dense(make(hidden_units=(6,)), None, dense_state(model, optimizer))


def test_layers_have_the_same_names_however_many_models_were_made_before():
    def names() -> list[str]:
        model = Esmm(tiny_schema(), EmbeddingConfig(embedding_dim=4), ModelConfig(hidden_units=(8, 8)), seed=1)
        return [variable.path for variable in model.weights]

    first = names()
    assert names() == first
    assert len(first) > 4
