"""The Deep Interest Network against its formula, pair by pair."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.din import Din
from esmm_dist.model.pooled_fields import FieldLayout, ListRows, PooledFields

LAYOUT = FieldLayout(user_dims={"seen": 2}, impression_dims={"item": 2}, attended={"seen": "item"})


def network(attention_units: tuple[int, ...], *, layout: FieldLayout = LAYOUT, **settings: Any) -> Din:
    config = ModelConfig(network=("din",), attention_units=attention_units, **{"hidden_units": (), **settings})
    return Din(layout, config, outputs=1, seed=3)


def set_weights(net: Din, **values: Any) -> None:
    """Set the variables of the first list's activation unit."""
    named = {variable.name: variable for variable in net.weights}
    for name, value in values.items():
        named[f"attention_0_{name}"].assign(np.array(value, np.float32))


def batch(
    lists: list[list[list[float]]],
    queries: list[list[list[float]]],
    weights: list[list[float]] | None = None,
    layout: FieldLayout = LAYOUT,
) -> PooledFields:
    """Make a batch from the rows of each group's list, the query of each of its impressions, and the list's weights."""
    weights = weights or [[1.0] * len(rows) for rows in lists]

    def rows(values: Any) -> tf.Tensor:
        return tf.constant(np.array([row for group in values for row in group], np.float32).reshape(-1, 2))

    flat_weights = tf.constant(np.array([w for group in weights for w in group], np.float32))
    pooled = [
        np.array(w, np.float32) @ np.array(r, np.float32).reshape(-1, 2) for w, r in zip(weights, lists, strict=True)
    ]
    return layout.pooled(
        tf.constant(np.array(pooled, np.float32).reshape(-1, 2)),
        rows(queries),
        tf.constant(np.repeat(np.arange(len(queries)), [len(group) for group in queries])),
        {"seen": ListRows(rows(lists), tf.constant([len(group) for group in lists], tf.int64), flat_weights)},
    )


def test_an_element_counts_by_its_row_the_query_and_their_product():
    net = network(())
    set_weights(net, key=[[1], [0]], query=[[0], [2]], product=[[3], [0]], bias=[0.5])
    # a(e, v) = e_0 + 2 v_1 + 3 e_0 v_0 + 0.5; group 0: e = (1 2) and (-1 1) of weights 1 and 2, v = (1 0) and (2 -1)
    fields = batch([[[1, 2], [-1, 1]]], [[[1, 0], [2, -1]]], [[1.0, 2.0]])
    # first: a = 1 + 0 + 3 + 0.5 = 4.5 and -1 + 0 - 3 + 0.5 = -3.5
    # second: 1 - 2 + 6 + 0.5 = 5.5 and -1 - 2 - 6 + 0.5 = -8.5
    expected = [[4.5 + 7.0, 9.0 - 7.0], [5.5 + 17.0, 11.0 - 17.0]]
    np.testing.assert_allclose(net.attended("seen", fields), expected, rtol=1e-6)


def test_hidden_layers_of_the_activation_unit_are_rectified():
    net = network((2,))
    set_weights(
        net,
        key=[[1, 0], [0, 0]],
        query=[[0, 1], [0, 0]],
        product=[[0, 0], [1, 0]],
        bias=[0, -1],
        kernel_1=[[2], [1]],
        bias_1=[0.25],
    )
    # hidden = (e_0 + e_1 v_1, v_0 - 1), a = 2 relu(h_0) + relu(h_1) + 0.25
    fields = batch([[[1, 1], [-3, 1]]], [[[2, 1], [0, 1]]])
    # v = (2 1): h = (2, 1) and (-2, 1), a = 5.25 and 1.25; v = (0 1): h = (2, -1) and (-2, -1), a = 4.25 and 0.25
    expected = [[5.25 - 3.75, 5.25 + 1.25], [4.25 - 0.75, 4.25 + 0.25]]
    np.testing.assert_allclose(net.attended("seen", fields), expected, rtol=1e-6)


def test_activations_do_not_add_up_to_one():
    """Section 4.3 of the paper: no softmax, so that two alike elements count as two."""
    net = network((4,))
    once, twice = (net.attended("seen", batch([[[1, 2]] * number], [[[1, 0]]])) for number in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)
    assert np.abs(once).max() > 0.1


def test_an_activation_unit_starts_near_the_plain_sum_where_rows_are_small():
    net = network((16,))
    fields = batch([[[0.01, 0.02], [0.02, -0.01]]], [[[0.01, -0.02]]], [[2.0, 3.0]])
    np.testing.assert_allclose(net.attended("seen", fields), [[0.08, 0.01]], rtol=0.1)


def test_an_empty_list_gives_zeros_and_an_empty_batch_nothing():
    net = network((3,))
    fields = batch([[], [[1, 2]]], [[[1, 0]], [[1, 0]]])
    assert net.attended("seen", fields).numpy()[0].tolist() == [0, 0]
    assert net.attended("seen", batch([[], []], [[[1, 0]], []])).numpy().tolist() == [[0, 0]]
    assert net.attended("seen", batch([], [])).shape == (0, 2)
    assert net(batch([], [])).shape == (0, 1)


def random_batch(lengths: list[int], impressions: list[int], seed: int = 1) -> PooledFields:
    random = np.random.default_rng(seed)
    lists = [random.normal(size=(length, 2)).tolist() for length in lengths]
    queries = [random.normal(size=(number, 2)).tolist() for number in impressions]
    return batch(lists, queries, [random.uniform(0, 2, length).tolist() for length in lengths])


def by_pairs(net: Din, fields: PooledFields) -> np.ndarray:
    """Return Σ_j a(e_j, v) · w_j · e_j by a loop over the pairs, in float64."""
    named = {variable.name: variable.numpy().astype(np.float64) for variable in net.weights}
    kernel = np.concatenate([named[f"attention_0_{part}"] for part in ("key", "query", "product")])
    listed = fields.lists["seen"]
    ends = np.cumsum(listed.lengths.numpy())
    found = []
    for group, query in zip(fields.group_of_impression.numpy(), fields.impression.numpy().astype(float), strict=True):
        total = np.zeros(2)
        for place in range(ends[group] - listed.lengths.numpy()[group], ends[group]):
            key = listed.rows.numpy()[place].astype(float)
            hidden = np.concatenate([key, query, key * query]) @ kernel + named["attention_0_bias"]
            layer = 1
            while f"attention_0_kernel_{layer}" in named:
                hidden = (
                    np.maximum(hidden, 0) @ named[f"attention_0_kernel_{layer}"] + named[f"attention_0_bias_{layer}"]
                )
                layer += 1
            total += hidden[0] * listed.weights.numpy()[place] * key
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("units", [(), (5,), (4, 3)])
@pytest.mark.parametrize(
    ("lengths", "impressions"),
    [
        ([1], [1]),
        ([3, 0, 70], [2, 1, 20]),  # blocks of elements and of impressions, the last ones not full
        ([32, 33, 5], [8, 9, 0]),
    ],
)
def test_products_a_group_equal_a_loop_over_the_pairs(units, lengths, impressions):
    net = network(units)
    fields = random_batch(lengths, impressions)
    np.testing.assert_allclose(net.attended("seen", fields), by_pairs(net, fields), rtol=2e-5, atol=2e-5)


def test_how_impressions_are_grouped_makes_no_difference():
    net = network((6,), hidden_units=(4,))
    whole = random_batch([40, 3], [12, 5])
    listed = whole.lists["seen"]
    parts = np.split(listed.rows.numpy(), [40])
    weights = np.split(listed.weights.numpy(), [40])
    groups = whole.group_of_impression.numpy()
    single = batch(
        [parts[group].tolist() for group in groups],
        [[query] for query in whole.impression.numpy().tolist()],
        [weights[group].tolist() for group in groups],
    )
    np.testing.assert_allclose(net(single), net(whole), rtol=1e-5, atol=1e-6)


def numerical(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-2) -> np.ndarray:
    found = np.zeros(at.size)
    for place in range(at.size):
        change = np.zeros(at.size)
        change[place] = step
        change = change.reshape(at.shape)
        found[place] = (function(at + change) - function(at - change)) / (2 * step)
    return found.reshape(at.shape)


def test_gradients_are_those_of_differences():
    """The sum of squares of what is attended to, by rows, queries and every variable of a smooth activation unit."""
    net = network(())
    fields = random_batch([3, 0, 2], [2, 1, 3])
    listed = fields.lists["seen"]

    def loss(rows: Any, query: Any) -> tf.Tensor:
        changed = LAYOUT.pooled(
            fields.user,
            tf.convert_to_tensor(query, tf.float32),
            fields.group_of_impression,
            {"seen": listed._replace(rows=tf.convert_to_tensor(rows, tf.float32))},
        )
        return tf.reduce_sum(net.attended("seen", changed) ** 2)

    rows, query = tf.Variable(listed.rows), tf.Variable(fields.impression)
    variables = [variable.value for variable in net.weights if variable.name.startswith("attention")]
    with tf.GradientTape() as tape:
        value = loss(rows, query)
    gradients = tape.gradient(value, [rows, query, *variables])
    differences = [
        numerical(lambda changed: float(loss(changed, query)), rows.numpy()),
        numerical(lambda changed: float(loss(rows, changed)), query.numpy()),
    ]
    for variable in variables:
        before = variable.numpy()

        def with_value(changed: np.ndarray, variable: Any = variable) -> float:
            variable.assign(changed)
            return float(loss(rows, query))

        differences.append(numerical(with_value, before))
        variable.assign(before)
    assert len(variables) == 4
    for gradient, difference in zip(gradients, differences, strict=True):
        np.testing.assert_allclose(gradient, difference, rtol=2e-2, atol=2e-2)


def test_what_is_attended_to_stands_beside_all_pooled_fields():
    net = network(())
    kernels = {variable.name: tuple(variable.shape) for variable in net.weights if variable.name.startswith("kernel")}
    assert kernels == {"kernel_0_user": (2, 1), "kernel_0_impression": (4, 1)}
    fields = random_batch([3], [2])
    named = {variable.name: variable.numpy() for variable in net.weights}
    columns = np.concatenate([fields.impression, net.attended("seen", fields)], axis=1)
    expected = fields.user.numpy() @ named["kernel_0_user"] + columns @ named["kernel_0_impression"] + named["bias_0"]
    np.testing.assert_allclose(net(fields), expected, rtol=1e-5)


def test_mixed_precision_narrows_the_attention_and_the_hidden_layers_alone():
    fields = random_batch([40, 3], [8, 5])
    wide, narrow = network((8,), hidden_units=(4,)), network((8,), hidden_units=(4,))
    narrow.mixed_precision = True
    found, expected = narrow(fields), wide(fields)
    assert found.dtype == tf.float32
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
