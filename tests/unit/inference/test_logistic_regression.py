"""One regression on the one-hot ids of impressions, and how impressions become its rows."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from esmm_dist.inference import logistic_regression
from esmm_dist.inference.logistic_regression import MAX_LIST_IDS, OneHotImpressions, fitted_scores, read_impressions
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import (
    Group,
    Impression,
    tiny_groups,
    tiny_schema,
    weighted,
    weighted_schema,
    write_dataset,
)


def read(folder, groups, *, schema=None, split: str = "train") -> OneHotImpressions:
    """Write a data set and read its impressions, in the order of the file."""
    manifest = write_dataset(folder, {split: groups}, schema=schema, lanes=1, parts=1)
    reader = BatchReader(folder, manifest, split, InputConfig(global_batch_records=4))
    return read_impressions(reader, manifest.schema, NoProgress())


def impression(sample_id: int, item: int, tags: list[int], labels: tuple[int, int] = (0, 0)) -> Impression:
    return Impression(sample_id=sample_id, labels=labels, fields=[[(item, 1.0)], [(tag, 1.0) for tag in tags]])


USER = [(1000, 1.0)]


def test_each_impression_has_a_column_for_each_id_of_a_field_and_the_users_are_repeated(tmp_path):
    groups = [
        Group(fields=[USER, []], impressions=[impression(1, 30, []), impression(2, 31, [40, 41])]),
        Group(fields=[USER, [(2000, 3.0), (2001, 4.0)]], impressions=[impression(3, 30, [40])]),
    ]
    found = read(tmp_path, groups)
    columns = np.unique(found.ids)
    assert len(columns) == 7  # 1 user, 2 of the history, 2 items, 2 tags
    matrix = found.matrix(columns).toarray()
    root = 1 / math.sqrt(2)
    # each row's values, whatever the columns' order: (user, item) and the lists, each list of length 1
    expected: list[list[float]] = [[1, 1], [1, 1, root, root], [1, 1, 1, 3 / 5, 4 / 5]]
    for row, values in zip(matrix, expected, strict=True):
        np.testing.assert_allclose(sorted(row[row != 0]), sorted(values), rtol=1e-12)
    user, item = [column for column in range(7) if matrix[0, column]]
    assert {matrix[2, user], matrix[2, item]} == {1.0}  # the third has the same user and the same item
    assert sorted(matrix[1, [user, item]]) == [0.0, 1.0]  # the second another item


def test_the_same_id_of_two_fields_has_two_columns(tmp_path):
    schema = tiny_schema(
        fields=(Field(name="liked", owner="user", table="t"), Field(name="item", owner="item", table="t"))
    )
    groups = [Group(fields=[[(7, 1.0)]], impressions=[Impression(sample_id=1, labels=(0, 0), fields=[[(7, 1.0)]])])]
    found = read(tmp_path, groups, schema=schema)
    assert len(np.unique(found.ids)) == 2


def test_a_log_without_fields_of_users_has_the_items_columns_alone(tmp_path):
    schema = tiny_schema(fields=(Field(name="item", owner="item"),))
    impressions = [Impression(sample_id=each, labels=(0, 0), fields=[[(item, 1.0)]]) for each, item in ((1, 7), (2, 8))]
    found = read(tmp_path, [Group(fields=[], impressions=impressions)] * 2, schema=schema)
    assert found.matrix(np.unique(found.ids)).toarray().tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]


def test_of_a_long_list_only_the_first_ids_are_used(tmp_path):
    tags = list(range(40, 40 + MAX_LIST_IDS + 5))
    found = read(tmp_path, [Group(fields=[USER, []], impressions=[impression(1, 30, tags)])])
    matrix = found.matrix(np.unique(found.ids)).toarray()
    assert (matrix != 0).sum() == 2 + MAX_LIST_IDS
    np.testing.assert_allclose(np.sort(matrix[0])[0], 1 / math.sqrt(MAX_LIST_IDS), rtol=1e-12)


def test_ids_that_training_has_not_seen_are_left_out(tmp_path):
    train = read(tmp_path / "a", [Group(fields=[USER, []], impressions=[impression(1, 30, [40])])])
    test = read(tmp_path / "b", [Group(fields=[USER, []], impressions=[impression(2, 31, [40, 49])])], split="test")
    row = test.matrix(np.unique(train.ids)).toarray()
    np.testing.assert_allclose(sorted(row[0]), [0, 1 / math.sqrt(2), 1])  # item 30, tag 40 of two, user
    assert test.matrix(np.zeros(0, np.int64)).shape == (1, 0)


def test_labels_and_sample_weights_stand_in_the_order_of_impressions(tmp_path):
    groups = weighted(tiny_groups(9), lambda sample_id: 1.0 + sample_id)
    found = read(tmp_path, groups, schema=weighted_schema())
    impressions = [each for group in groups for each in group.impressions]
    assert found.labels.tolist() == [list(each.labels) for each in impressions]
    assert found.sample_weights is not None
    assert found.sample_weights.tolist() == [each.weight for each in impressions]
    ctr, cvr, ctcvr = weighted_schema().label_tree.tasks
    assert found.reached(ctr).all()
    assert found.reached(ctcvr).all()
    clicked = found.reached(cvr)
    assert clicked.tolist() == [each.labels[0] == 1 for each in impressions]
    chosen = found.sample_weights_of(clicked)
    assert chosen is not None
    assert chosen.tolist() == [each.weight for each in impressions if each.labels[0]]


def test_without_sample_weights_none_are_chosen(tmp_path):
    found = read(tmp_path, tiny_groups(3))
    assert found.sample_weights_of(np.ones(len(found.labels), np.bool_)) is None


@pytest.mark.parametrize(("bound", "most"), [("MAX_IMPRESSIONS", 10), ("MAX_VALUES", 30)])
def test_reading_ends_with_the_batch_that_reaches_a_bound(tmp_path, monkeypatch, bound, most):
    monkeypatch.setattr(logistic_regression, bound, most)
    groups = tiny_groups(60)
    found = read(tmp_path, groups)
    sizes = [sum(len(group.impressions) for group in groups[at : at + 4]) for at in range(0, 60, 4)]
    assert len(found.labels) in np.cumsum(sizes).tolist()  # whole batches of four records
    assert len(found.labels) < sum(sizes)
    reached = len(found.labels) if bound == "MAX_IMPRESSIONS" else len(found.ids)
    assert reached >= most


def test_labels_of_one_class_and_an_empty_test_have_scores_of_zero():
    features = csr_matrix(np.eye(3))
    assert fitted_scores(features, np.ones(3, np.int64), None, features).tolist() == [0, 0, 0]
    assert fitted_scores(features, np.array([0, 1, 0]), None, csr_matrix((0, 3))).tolist() == []


def test_an_impression_of_weight_2_counts_as_two():
    features = csr_matrix(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
    labels, weights = np.array([1, 0, 1, 0]), np.array([2.0, 1.0, 1.0, 1.0])
    repeated = [0, 0, 1, 2, 3]
    found = fitted_scores(features, labels, weights, features)
    expected = fitted_scores(features[repeated], labels[repeated], None, features)
    np.testing.assert_allclose(found, expected, rtol=1e-2)  # both stop at a gradient of 1e-3
    assert found[0] > found[1]
