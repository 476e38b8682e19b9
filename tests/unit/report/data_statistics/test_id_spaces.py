"""Fields that share ids are counted together."""

import numpy as np

from esmm_dist.report.data_statistics.id_counter import IdCounts
from esmm_dist.report.data_statistics.id_spaces import shared_ids
from esmm_dist.schema.fields import Field

FIELDS = (
    Field(name="history", owner="user", multi_hot=True, ids_of="item"),
    Field(name="user", owner="user"),
    Field(name="item", owner="item"),
)


def counts(ids: list[int], train: list[int], share: float = 1.0) -> IdCounts:
    columns = np.array([[0, number] for number in train], np.int64)
    return IdCounts(ids=np.array(ids), counts=columns, weights=np.ones(len(ids)), share=share)


def test_impressions_of_fields_with_one_id_space_are_added_up():
    counted = {"history": counts([5, 3], [2, 4]), "user": counts([1], [9]), "item": counts([3, 8], [1, 7])}
    found = shared_ids(FIELDS, counted, 1)
    assert set(found) == {"history", "item"}
    assert found["item"] is found["history"]
    assert (found["item"].ids.tolist(), found["item"].counts.tolist()) == ([3, 5, 8], [5, 2, 7])
    assert found["item"].of(np.array([8, 3])).tolist() == [7, 5]


def test_fields_of_which_one_has_a_sample_of_its_ids_are_left_out():
    counted = {"history": counts([5], [2], share=0.5), "user": counts([1], [9]), "item": counts([3], [1])}
    assert shared_ids(FIELDS, counted, 1) == {}
