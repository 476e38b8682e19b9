"""The columns of predictions, from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from esmm_dist.inference.probabilities import probabilities
from esmm_dist.schema.label_tree import LabelTree
from tests.support.label_trees import label_trees


@st.composite
def scored(draw):
    """Draw a tree, and logits of its labels."""
    tree = draw(label_trees())
    shape = draw(st.integers(1, 5)), len(tree.names)
    return tree, draw(arrays(np.float32, shape, elements=st.floats(-60, 60, width=32)))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("click",), ["p_click"]),
        (("click", "conversion"), ["pctr", "pcvr", "pctcvr"]),
        (("view", "order"), ["pctr", "pcvr", "pctcvr"]),  # two labels have the usual names, whatever they are called
        (("a", "b", "c"), ["p_a", "p_b_given_a", "p_b", "p_c_given_b", "p_c"]),
    ],
)
def test_each_label_has_its_conditional_probability_and_its_product(labels, names):
    assert LabelTree.of(labels).columns == names


@given(scored())
def test_there_is_a_column_for_each_name_all_in_0_to_1(tree_and_logits):
    tree, logits = tree_and_logits
    columns = probabilities(logits, tree)
    assert len(columns) == len(tree.columns) == len(set(tree.columns))
    for column in columns:
        assert column.dtype == np.float32
        assert column.shape == (len(logits),)
        assert ((column >= 0) & (column <= 1)).all()


@given(scored())
def test_a_product_is_the_conditionals_on_its_path_multiplied_and_never_above_that_of_the_label_before(tree_and_logits):
    tree, logits = tree_and_logits
    columns = dict(zip(tree.columns, probabilities(logits, tree), strict=True))
    conditional = 1 / (1 + np.exp(-logits.astype(np.float64)))
    products = {task.label: columns[task.column] for task in tree.tasks if task.given is None}
    for task in tree.tasks:
        on_path = conditional[:, list(tree.path(task.label))]
        expected = on_path[:, -1] if task.given is not None else on_path.prod(axis=1)
        np.testing.assert_allclose(columns[task.column], expected, rtol=1e-6, atol=1e-44)
        if task.given is not None:
            assert (products[task.label] <= products[task.given]).all()


@given(scored())
def test_a_column_does_not_depend_on_the_impressions_beside_it(tree_and_logits):
    tree, logits = tree_and_logits
    rows = [probabilities(row[np.newaxis], tree) for row in logits]
    for column, *alone in zip(probabilities(logits, tree), *rows, strict=True):
        np.testing.assert_array_equal(column, np.concatenate(alone))


def test_a_logit_of_zero_is_one_half_and_one_of_log_3_three_quarters():
    pctr, pcvr, pctcvr = probabilities(np.array([[0.0, np.log(3.0)]], np.float32), LabelTree.of(("a", "b")))
    np.testing.assert_allclose([pctr[0], pcvr[0], pctcvr[0]], [0.5, 0.75, 0.375], rtol=1e-7)
