"""Labels as a tree: which counts after which, and the tasks that follow."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.label_tree import LabelTree, split_after
from tests.support.label_trees import label_trees

CHAIN = LabelTree.of(["click", "cart", "purchase"])
TREE = LabelTree.of(["click", "purchase", "favourite"], {"favourite": "click"})


def test_labels_follow_each_other_unless_told():
    assert CHAIN.parents == (-1, 0, 1)
    assert CHAIN.is_chain
    assert TREE.parents == (-1, 0, 0)
    assert not TREE.is_chain
    assert [TREE.path(place) for place in range(3)] == [(0,), (0, 1), (0, 2)]
    assert CHAIN.path(2) == (0, 1, 2)


def test_two_labels_keep_the_usual_names():
    tasks = LabelTree.of(["seen", "bought"]).tasks
    assert [task.name for task in tasks] == ["ctr", "cvr", "ctcvr"]
    assert [task.column for task in tasks] == ["pctr", "pcvr", "pctcvr"]
    assert [(task.label, task.given) for task in tasks] == [(0, None), (1, 0), (1, None)]


def test_longer_funnels_name_tasks_after_labels():
    assert [t.name for t in CHAIN.tasks] == ["click", "cart_given_click", "cart", "purchase_given_cart", "purchase"]
    assert [t.column for t in TREE.tasks] == [
        "p_click",
        "p_purchase_given_click",
        "p_purchase",
        "p_favourite_given_click",
        "p_favourite",
    ]
    assert [(t.label, t.given) for t in TREE.tasks] == [(0, None), (1, 0), (1, None), (2, 0), (2, None)]


def test_products_and_sums_follow_the_path():
    assert CHAIN.products([0.5, 0.25, 0.5]) == [0.5, 0.125, 0.0625]
    assert TREE.products([0.5, 0.25, 0.5]) == [0.5, 0.125, 0.25]
    assert TREE.sums([1, 2, 3]) == [1, 3, 4]


def test_labels_count_where_all_on_their_way_are_1():
    labels = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
    assert CHAIN.reached(labels).tolist() == [[True] * 3, [True, False, False], [False] * 3, [True, True, False]]
    assert CHAIN.broken(labels).tolist() == [[False] * 3, [False, False, True], [False, True, False], [False] * 3]
    assert TREE.reached(labels).tolist() == [[True] * 3, [True, False, True], [False] * 3, [True, True, False]]
    assert TREE.broken(labels).tolist() == [[False] * 3, [False] * 3, [False, True, True], [False] * 3]


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ({"cart": "buy"}, "no label 'buy' is listed before 'cart'"),
        ({"click": "cart"}, "the first label comes after no other"),
        ({"like": "click"}, "there is no label 'like'"),
        ({"cart": "cart"}, "no label 'cart' is listed before 'cart'"),
    ],
)
def test_wrong_tree_is_an_error(after: dict[str, str], text: str):
    with pytest.raises(SchemaError, match=text):
        LabelTree.of(["click", "cart"], after)


@pytest.mark.parametrize(
    ("labels", "name"),
    [(("a", "b", "b_given_a"), "b_given_a"), (("click", "baseline", "order"), "baseline")],
)
def test_two_results_of_one_name_are_refused(labels: tuple[str, ...], name: str):
    with pytest.raises(SchemaError, match=f"two results would be named '{name}'.*Rename a label"):
        LabelTree.of(labels)
    LabelTree.of(labels[::2])  # of two labels they are ctr, cvr and ctcvr


def test_after_is_read_from_the_text():
    assert split_after(["click", "favourite  after click"]) == (("click", "favourite"), {"favourite": "click"})
    assert split_after(["looked_after", "after"]) == (("looked_after", "after"), {})


def test_schema_with_a_tree_survives_a_mapping():
    item = Field(name="item", owner="item")
    schema = Schema(name="s", labels=("click", "purchase after click", "favourite after click"), fields=(item,))
    assert schema.labels == ("click", "purchase", "favourite")
    assert schema.after == {"favourite": "click"}  # purchase follows click anyway
    assert schema.label_tree == TREE
    assert build(Schema, to_mapping(schema), where="test") == schema


@pytest.mark.parametrize("after", [{}, {"paid after a call": "click"}])
def test_labels_are_names_as_they_stand_where_after_is_given(after: dict[str, str]):
    item = Field(name="item", owner="item")
    schema = Schema(name="s", labels=("click", "called", "paid after a call"), after=after, fields=(item,))
    assert schema.labels == ("click", "called", "paid after a call")
    assert schema.label_tree.parents == ((-1, 0, 0) if after else (-1, 0, 1))
    assert build(Schema, to_mapping(schema), where="test") == schema
    assert replace(schema, name="s") == schema


def test_wrong_tree_names_the_schema():
    with pytest.raises(SchemaError, match="Schema 's': 'favourite after like': no label 'like'"):
        Schema(name="s", labels=("click", "favourite after like"), fields=(Field(name="item", owner="item"),))


def test_a_wrong_tree_of_label_texts_says_how_a_label_can_be_called_so():
    item = Field(name="item", owner="item")
    with pytest.raises(SchemaError, match="no label 'a call' is .* A label that is called so: add after: {}"):
        Schema(name="s", labels=("click", "paid after a call"), fields=(item,))
    with pytest.raises(SchemaError) as literal:
        Schema(name="s", labels=("click", "paid"), after={"paid": "called"}, fields=(item,))
    assert "called so" not in str(literal.value)


def test_a_stored_schema_from_before_trees_is_a_chain():
    item = Field(name="item", owner="item")
    mapping = to_mapping(Schema(name="s", labels=("click", "cart", "order"), fields=(item,)))
    del mapping["after"]
    assert build(Schema, mapping, where="test").label_tree == LabelTree.of(("click", "cart", "order"))


def test_another_tree_of_the_same_labels_is_another_record():
    item = Field(name="item", owner="item")
    chain = Schema(name="s", labels=("click", "order", "favourite"), fields=(item,))
    tree = Schema(name="s", labels=("click", "order", "favourite after click"), fields=(item,))
    assert record_differences(tree, chain) == ["after.favourite is 'click', was nothing"]


@given(label_trees(), st.integers(0, 99))
def test_labels_count_where_each_before_them_does(tree: LabelTree, seed: int):
    labels = np.random.default_rng(seed).integers(0, 2, (50, len(tree.names)))
    reached, broken = tree.reached(labels), tree.broken(labels)
    for label in range(len(tree.names)):
        on_path = labels[:, list(tree.path(label))]
        np.testing.assert_array_equal(reached[:, label], on_path.all(axis=1))
    assert not tree.broken(reached).any()
    # some label is broken exactly where some 1 does not count
    np.testing.assert_array_equal(broken.any(axis=1), (labels.astype(np.bool_) & ~reached).any(axis=1))


@given(label_trees(), st.integers(0, 99))
def test_sums_of_logarithms_are_logarithms_of_products(tree: LabelTree, seed: int):
    p = list(np.random.default_rng(seed).random(len(tree.names)) + 1e-3)
    products = tree.products(p)
    np.testing.assert_allclose(tree.sums([np.log(each) for each in p]), np.log(products), rtol=1e-12, atol=1e-12)
    for label in range(len(tree.names)):
        assert products[label] == pytest.approx(np.prod([p[place] for place in tree.path(label)]))
