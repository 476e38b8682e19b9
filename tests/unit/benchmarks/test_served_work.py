"""Requests of the serving benchmark: a user and candidates as the short form, and as rows of a joined table."""

import numpy as np
import pytest

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Field, Schema
from tests.benchmarks.open_loop import Load, Sent
from tests.benchmarks.served_work import joined_rows, short_request
from tests.benchmarks.serving_speed import taken_at

SCHEMA = Schema(
    name="small",
    labels=("click", "conversion"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, weighted=True),
        Field(name="item", owner="item"),
        Field(name="tags", owner="item", multi_hot=True),
    ),
)
USER = GroupedBatch(
    user_ids=np.array([7, 21, 22]),
    user_lengths=np.array([1, 2]),
    user_weights=np.array([1.0, 0.5, 2.0], np.float32),
    impression_ids=np.array([31, 41, 42, 43]),
    impression_lengths=np.array([1, 1, 0, 2]),
    impression_weights=None,
    impressions_per_group=np.array([2]),
    sample_ids=np.array([0, 1]),
    labels=np.zeros((2, 2), np.int64),
)


def test_a_request_names_each_value_and_leaves_out_what_is_missing():
    assert short_request(USER, SCHEMA) == {
        "user": 7,
        "history": [21, 22],
        "history_weights": [0.5, 2.0],
        "candidates": [{"item": 31, "tags": [41]}, {"tags": [42, 43]}],
    }


def test_joined_rows_have_the_user_once_a_candidate():
    rows = joined_rows(USER)
    assert rows.user_ids.tolist() == [7, 21, 22, 7, 21, 22]
    assert rows.user_lengths.tolist() == [1, 2, 1, 2]
    assert rows.user_weights is not None
    assert rows.user_weights.tolist() == [1.0, 0.5, 2.0, 1.0, 0.5, 2.0]
    assert rows.impressions_per_group.tolist() == [1, 1]
    assert rows.impression_ids is USER.impression_ids


def test_a_version_is_taken_at_its_first_answer():
    sent = [Sent(due_s=float(n), latency_s=0.25, status=200, version="2" if n > 3 else "1") for n in range(6)]
    assert taken_at(Load(sent=tuple(sent), cpu_s=0.0), 1.5) == 4.25
    with pytest.raises(SystemExit, match="not taken while the load lasted"):
        taken_at(Load(sent=tuple(sent), cpu_s=0.0), 4.5)
