"""Numbers become buckets by edges that are the same everywhere."""

import math
from typing import Any

import numpy as np
import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.schema.edges import with_edges_of, with_found_edges
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource


def numeric(value: Any) -> Numeric:
    return build(Numeric, {"buckets": value}, where="test", error=SchemaError)


def test_an_edge_begins_its_bucket():
    ages = numeric([18, 25, 35])
    assert ages.edges == (18.0, 25.0, 35.0)
    assert ages.of(np.array([-math.inf, 17.9, 18, 24, 25, 35, 99, math.inf])).tolist() == [0, 0, 1, 1, 2, 3, 3, 3]
    assert ages.ids("age").tolist() == [feature_id("age", bucket) for bucket in range(4)]
    assert [ages.shown(bucket) for bucket in range(4)] == ["[-inf, 18)", "[18, 25)", "[25, 35)", "[35, inf)"]


def test_log_has_an_edge_at_each_power_of_two_and_their_negatives():
    edges = numeric("log").edges
    assert edges is not None
    assert len(edges) == 2 * 61 + 1
    assert edges[61:64] == (0.0, 2.0**-20, 2.0**-19)
    assert edges[-1] == 2.0**40
    assert [-edge for edge in reversed(edges)] == list(edges)
    finer = numeric("log 4").edges
    assert finer is not None
    assert len(finer) == 2 * (4 * 60 + 1) + 1
    assert set(edges) < set(finer)
    assert finer[finer.index(1.0) + 1] == pytest.approx(2**0.25, rel=1e-15)


def test_quantiles_are_open_until_a_log_gives_them():
    open_ = numeric("quantile 32")
    assert open_.edges is None
    assert open_.num_quantiles == 32
    with pytest.raises(SchemaError, match="the edges are not known yet: only a data set's schema has them"):
        open_.of(np.array([1.0]))


@pytest.mark.parametrize(
    ("buckets", "message"),
    [
        ("quantile", "buckets are 'quantile'. Write quantile N"),
        ("quantile 1", "Set quantile 2 .. quantile 4096"),
        ("quantile 4097", "Set quantile 2 .. quantile 4096"),
        ("log 17", "Set log 1 .. log 16"),
        ("deciles", "buckets are 'deciles'"),
        ([], "buckets is an empty list"),
        ([2, 1], "buckets has edge 1 after 2"),
        ([1, 1], "buckets has edge 1 after 1"),
        ([0, math.inf], "not all finite numbers"),
        ([1e-310], "is taken for 0"),
        (list(range(4096)), "4096 edges. Use at most 4095"),
    ],
)
def test_wrong_buckets_are_refused(buckets: Any, message: str):
    with pytest.raises(SchemaError, match=message):
        numeric(buckets)


def test_edges_beside_other_buckets_are_refused():
    with pytest.raises(SchemaError, match=r"edges \[1.0\] are not those of buckets \[2.0\]. Leave out edges"):
        build(Numeric, {"buckets": [2], "edges": [1]}, where="test", error=SchemaError)


def schema_of(*fields: Field) -> Schema:
    source = FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "c", "order": "o"})
    return Schema(
        name="s", labels=("click", "order"), fields=(Field(name="item", owner="item"), *fields), source=source
    )


def test_a_schema_takes_the_edges_of_the_one_before_where_buckets_are_the_same():
    def of(price: Any, age: Any) -> Schema:
        return schema_of(
            Field(name="price", owner="item", numeric=numeric(price)),
            Field(name="age", owner="user", numeric=numeric(age)),
        )

    before = with_found_edges(of("quantile 4", "quantile 3"), {"price": [1, 2.5], "age": [30.0]})
    assert before.field("price").numeric == Numeric(buckets="quantile 4", edges=(1, 2.5))
    now = with_edges_of(of("quantile 4", "quantile 5"), before)
    assert now.field("price") == before.field("price")
    assert now.field("age").numeric == numeric("quantile 5")
    kept = with_found_edges(of("quantile 4", "log"), {"price": [7.0]})
    assert with_edges_of(kept, before) == kept
    assert build(Schema, to_mapping(before), where="test") == before
