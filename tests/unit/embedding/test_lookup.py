"""Unique ids, segments and weights of a batch, against a loop over its fields."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Field, Schema

Lists = list[list[tuple[int, float]]]


def schema_of(*fields: Field) -> Schema:
    return Schema(name="s", labels=("click", "conversion"), fields=fields)


def batch_of(users: Lists, impressions: Lists, groups: int, per_group: int, *, weighted: bool = True) -> GroupedBatch:
    """Make a batch from the (id, weight) lists of all user segments and all impression segments."""

    def ids(lists: Lists) -> np.ndarray:
        return np.array([id_ for values in lists for id_, _ in values], dtype=np.int64)

    def weights(lists: Lists) -> np.ndarray | None:
        return np.array([w for values in lists for _, w in values], dtype=np.float32) if weighted else None

    count = groups * per_group
    return GroupedBatch(
        user_ids=ids(users),
        user_lengths=np.array([len(values) for values in users], dtype=np.int64),
        user_weights=weights(users),
        impression_ids=ids(impressions),
        impression_lengths=np.array([len(values) for values in impressions], dtype=np.int64),
        impression_weights=weights(impressions),
        impressions_per_group=np.full(groups, per_group, dtype=np.int64),
        sample_ids=np.arange(count),
        labels=np.zeros((count, 2), dtype=np.int64),
    )


def value_of(id_: int) -> float:
    """Return the one-column row of an id in these tests."""
    return float(id_) * 0.5 + 1.0


def indices_of(lookup: TableLookup) -> list[list[int]]:
    """Return (segment, place) of each id."""
    pairs = zip(lookup.segments.tolist(), lookup.places.tolist(), strict=True)
    return [list(pair) for pair in pairs]


def pooled(lookup: TableLookup, segments: int) -> list[float]:
    result = np.zeros(segments)
    for (segment, place), weight in zip(indices_of(lookup), lookup.weights, strict=True):
        result[segment] += weight * value_of(lookup.ids[place])
    return [float(value) for value in result]


USER, ITEM = Field(name="u", owner="user", multi_hot=True), Field(name="i", owner="item", multi_hot=True)


def test_ids_are_unique_and_ascending_and_every_place_points_at_its_id():
    users: Lists = [[(9, 1), (3, 1), (9, 1)], []]
    impressions: Lists = [[(3, 1)], [(-2, 1)], [], [(7, 1), (3, 1)]]
    batch = batch_of(users, impressions, 2, 2)
    lookup = LookupPlan(schema_of(USER, ITEM)).prepare(batch)["main"]
    assert lookup.ids.tolist() == [-2, 3, 7, 9]
    # segments: users 0 and 1, then impressions 2 .. 5
    assert indices_of(lookup) == [[0, 3], [0, 1], [0, 3], [2, 1], [3, 0], [5, 2], [5, 1]]
    assert lookup.weights.tolist() == [1.0] * 7
    assert lookup.ids.dtype == np.int64
    assert lookup.places.dtype == np.int32
    assert lookup.weights.dtype == np.float32


def test_fields_without_weights_weigh_one():
    batch = batch_of([[(1, 5.0)]], [[(2, 5.0), (3, 5.0)]], 1, 1, weighted=False)
    assert LookupPlan(schema_of(USER, ITEM)).prepare(batch)["main"].weights.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("combiner", "expected"),
    [
        # rows of ids 2 and 4 are 2 and 3; weights 3 and 1
        ("sum", 3 * 2.0 + 1 * 3.0),
        ("mean", (3 * 2.0 + 1 * 3.0) / 4),
        ("sqrtn", (3 * 2.0 + 1 * 3.0) / 10**0.5),
    ],
)
def test_a_combiner_divides_by_the_weights_of_its_own_segment(combiner, expected):
    field = Field(name="u", owner="user", multi_hot=True, weighted=True, combiner=combiner)
    batch = batch_of([[(2, 3.0), (4, 1.0)], [(2, 9.0)]], [[(4, 2.0)], [(6, 0.5)]], 2, 1)
    lookup = LookupPlan(schema_of(field, ITEM)).prepare(batch)["main"]
    of_user_1 = 18.0 if combiner == "sum" else 2.0  # one id: its weight cancels
    np.testing.assert_allclose(pooled(lookup, 4), [expected, of_user_1, 2 * 3.0, 0.5 * 4.0], rtol=1e-6)


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_a_segment_whose_weights_are_zero_pools_to_zero(combiner):
    field = Field(name="u", owner="user", multi_hot=True, weighted=True, combiner=combiner)
    batch = batch_of([[(2, 0.0), (4, 0.0)]], [[]], 1, 1)
    assert pooled(LookupPlan(schema_of(field, ITEM)).prepare(batch)["main"], 2) == [0.0, 0.0]


def test_weights_whose_squares_overflow_float32_are_divided_rightly():
    field = Field(name="u", owner="user", multi_hot=True, weighted=True, combiner="sqrtn")
    batch = batch_of([[(2, 3e30), (4, 4e30)]], [[]], 1, 1)
    lookup = LookupPlan(schema_of(field, ITEM)).prepare(batch)["main"]
    np.testing.assert_allclose(lookup.weights, [0.6, 0.8], rtol=1e-6)


def test_a_weight_that_is_not_finite_passes_without_a_warning_to_the_check_of_the_step():
    field = Field(name="u", owner="user", multi_hot=True, weighted=True, combiner="mean")
    batch = batch_of([[(2, np.inf), (4, 1.0)], [(2, 3.0)]], [[], []], 2, 1)
    lookup = LookupPlan(schema_of(field, ITEM)).prepare(batch)["main"]
    assert np.isnan(lookup.weights[0])
    assert lookup.weights[2] == 1.0


def test_max_ids_keeps_the_first_ids_of_each_list_before_the_mean_is_taken():
    user = Field(name="u", owner="user", multi_hot=True, weighted=True, combiner="mean", max_ids=2)
    batch = batch_of([[(2, 1.0), (4, 3.0), (100, 50.0)], [(6, 1.0)]], [[(8, 1.0), (8, 1.0), (8, 1.0)], []], 2, 1)
    lookup = LookupPlan(schema_of(user, ITEM)).prepare(batch)["main"]
    assert lookup.ids.tolist() == [2, 4, 6, 8]  # 100 is not even asked for
    np.testing.assert_allclose(pooled(lookup, 4), [(2.0 + 3 * 3.0) / 4, 4.0, 3 * 5.0, 0.0])


def test_each_table_numbers_the_segments_of_its_own_fields():
    fields = (
        Field(name="a", owner="user", multi_hot=True, table="x"),
        Field(name="b", owner="user", multi_hot=True, table="y"),
        Field(name="c", owner="item", multi_hot=True, table="y"),
        Field(name="d", owner="item", multi_hot=True, table="x"),
    )
    # two groups of one impression; the same id 5 in both tables
    batch = batch_of([[(5, 1)], [(6, 1)], [(5, 1)], []], [[(5, 1)], [(2, 1)], [(4, 1)], [(8, 1)]], 2, 1)
    lookups = LookupPlan(schema_of(*fields)).prepare(batch)
    assert sorted(lookups) == ["x", "y"]
    # x: user 0 a, user 1 a, impression 0 d, impression 1 d
    assert lookups["x"].ids.tolist() == [2, 5, 8]
    assert indices_of(lookups["x"]) == [[0, 1], [1, 1], [2, 0], [3, 2]]
    # y: user 0 b, user 1 b, impression 0 c, impression 1 c
    assert lookups["y"].ids.tolist() == [4, 5, 6]
    assert indices_of(lookups["y"]) == [[0, 2], [2, 1], [3, 0]]


def test_a_batch_without_any_id_has_an_empty_lookup():
    lookup = LookupPlan(schema_of(USER, ITEM)).prepare(batch_of([[]], [[], []], 1, 2))["main"]
    assert len(lookup.ids) == 0
    assert indices_of(lookup) == []


ragged = st.lists(st.tuples(st.integers(-6, 6), st.sampled_from([0.0, 0.25, 1.0, 2.0])), max_size=4)


@st.composite
def cases(draw):
    def field(name: str, owner: str) -> Field:
        return Field(
            name=name,
            owner=owner,  # type: ignore[arg-type]
            multi_hot=True,
            weighted=True,
            combiner=draw(st.sampled_from(["sum", "mean", "sqrtn"])),
            max_ids=draw(st.none() | st.integers(1, 3)),
            table=draw(st.sampled_from(["x", "y"])),
        )

    users = [field(f"u{i}", "user") for i in range(draw(st.integers(0, 2)))]
    items = [field(f"i{i}", "item") for i in range(draw(st.integers(1, 2)))]
    groups, per_group = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    user_lists = [draw(ragged) for _ in range(groups * len(users))]
    item_lists = [draw(ragged) for _ in range(groups * per_group * len(items))]
    return users, items, groups, per_group, user_lists, item_lists


def naive(field: Field, values: list[tuple[int, float]]) -> float:
    kept = values[: field.max_ids]
    total = sum(w * value_of(id_) for id_, w in kept)
    norms = {"sum": 1.0, "mean": sum(w for _, w in kept), "sqrtn": sum(w * w for _, w in kept) ** 0.5}
    return total / (norms[field.combiner] or 1.0)


@settings(max_examples=150)
@given(cases())
def test_pooling_through_a_lookup_equals_a_loop_over_the_segments(case):
    users, items, groups, per_group, user_lists, item_lists = case
    batch = batch_of(user_lists, item_lists, groups, per_group)
    lookups = LookupPlan(schema_of(*users, *items)).prepare(batch)
    segments = [
        *zip(users * groups, user_lists, strict=True),
        *zip(items * groups * per_group, item_lists, strict=True),
    ]
    for table, lookup in lookups.items():
        expected = [naive(field, values) for field, values in segments if field.table == table]
        np.testing.assert_allclose(pooled(lookup, len(expected)), expected, rtol=1e-5, atol=1e-6)
        assert np.all(np.diff(lookup.ids) > 0)
        assert np.all(np.diff(lookup.segments) >= 0)


def impressions_holding(users: Lists, impressions: Lists, groups: int, per_group: int, fields: int) -> dict[int, int]:
    """Count by looping over the impressions: those that hold an id in any of their own or their user's fields."""
    counts: dict[int, int] = {}
    for number in range(groups * per_group):
        group = number // per_group
        lists = users[group * fields : (group + 1) * fields] + impressions[number * fields : (number + 1) * fields]
        for id_ in {id_ for values in lists for id_, _ in values}:
            counts[id_] = counts.get(id_, 0) + 1
    return counts


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_counts_are_the_impressions_that_hold_an_id_and_none_counts_twice(data):
    groups, per_group = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 3))
    ids = st.lists(st.tuples(st.integers(0, 6), st.just(1.0)), max_size=4)  # few ids: they repeat everywhere
    users = data.draw(st.lists(ids, min_size=2 * groups, max_size=2 * groups))
    impressions = data.draw(st.lists(ids, min_size=2 * groups * per_group, max_size=2 * groups * per_group))
    schema = schema_of(
        *(Field(name=f"u{i}", owner="user", multi_hot=True) for i in range(2)),
        *(Field(name=f"i{i}", owner="item", multi_hot=True) for i in range(2)),
    )
    batch = batch_of(users, impressions, groups, per_group)
    lookup = LookupPlan(schema, count_impressions=True).prepare(batch)["main"]
    assert lookup.counts is not None
    found = dict(zip(lookup.ids.tolist(), lookup.counts.tolist(), strict=True))
    assert found == impressions_holding(users, impressions, groups, per_group, 2)


def test_counts_of_each_table_are_its_own():
    schema = schema_of(
        Field(name="u", owner="user", table="a"),
        Field(name="i", owner="item", table="b"),
        Field(name="j", owner="item"),
    )
    batch = batch_of([[(7, 1.0)]], [[(7, 1.0)], [(1, 1.0)], [], [(1, 1.0)]], 1, 2)
    lookups = LookupPlan(schema, count_impressions=True).prepare(batch)
    counts = {table: (lookup.ids.tolist(), np.asarray(lookup.counts).tolist()) for table, lookup in lookups.items()}
    assert counts == {"a": ([7], [2]), "b": ([7], [1]), "main": ([1], [2])}


def test_nobody_counts_unless_asked():
    batch = batch_of([[(7, 1.0)]], [[(3, 1.0)]], 1, 1)
    schema = schema_of(Field(name="u", owner="user"), Field(name="i", owner="item"))
    assert LookupPlan(schema).prepare(batch)["main"].counts is None


def test_a_plan_without_gradients_finds_the_same_ids_and_leaves_the_columns_of_the_matrix_empty():
    batch = batch_of([[(9, 2), (3, 1)], []], [[(3, 1)], [(7, 1), (3, 5)]], 2, 1, weighted=True)
    schema = schema_of(USER, ITEM)
    whole = LookupPlan(schema).prepare(batch)["main"]
    found = LookupPlan(schema, with_gradients=False).prepare(batch)["main"]
    for name in ("ids", "begins", "places", "weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert [len(getattr(found, name)) for name in ("id_begins", "id_segments", "id_weights")] == [0, 0, 0]
    assert found.counts is None


ATTENDED = (
    Field(name="u", owner="user"),
    Field(name="seen", owner="user", multi_hot=True, weighted=True, combiner="mean", max_ids=2),
    Field(name="shops", owner="user", multi_hot=True, weighted=True),
)


def attended_batch() -> GroupedBatch:
    """Make two groups with one impression each; the lists are (7 9, and 8 too many) (1 2) and (7) ()."""
    users: Lists = [[(3, 1)], [(7, 1.0), (9, 3.0), (8, 5.0)], [(1, 2.0), (2, 0.5)], [(4, 1)], [(7, 4.0)], []]
    return batch_of(users, [[(5, 1)], [(7, 1)]], 2, 1)


def test_each_element_of_a_list_is_a_segment_behind_those_of_the_fields_and_weighs_one():
    schema = schema_of(*ATTENDED, ITEM)
    whole = LookupPlan(schema).prepare(attended_batch())["main"]
    lookup = LookupPlan(schema, lists=("shops", "seen")).prepare(attended_batch())["main"]
    fields = whole.num_segments
    assert (whole.num_elements, whole.lists) == (0, {})
    assert (lookup.num_segments, lookup.num_elements, lookup.num_field_segments) == (fields + 5, 5, fields)
    assert lookup.begins[: fields + 1].tolist() == whole.begins.tolist()
    np.testing.assert_array_equal(lookup.ids, whole.ids)
    # in the order of the schema: seen of both groups, cut to two, then shops
    assert lookup.ids[lookup.places[len(whole.places) :]].tolist() == [7, 9, 7, 1, 2]
    assert lookup.weights[len(whole.weights) :].tolist() == [1.0] * 5
    assert lookup.segments[len(whole.weights) :].tolist() == list(range(fields, fields + 5))
    assert list(lookup.lists) == ["seen", "shops"]
    assert [each.lengths.tolist() for each in lookup.lists.values()] == [[2, 1], [2, 0]]
    # as in the pooled sums: the mean's are divided by their sum
    assert [each.weights.tolist() for each in lookup.lists.values()] == [[0.25, 0.75, 1.0], [2.0, 0.5]]


def test_columns_of_the_matrix_hold_the_elements_too():
    lookup = LookupPlan(schema_of(*ATTENDED, ITEM), lists=("seen",)).prepare(attended_batch())["main"]
    by_column = sorted(
        (int(segment), number)
        for number in range(len(lookup.ids))
        for segment in lookup.id_segments[lookup.id_begins[number] : lookup.id_begins[number + 1]]
    )
    assert by_column == sorted(zip(lookup.segments.tolist(), lookup.places.tolist(), strict=True))


def test_elements_are_segments_of_their_own_table_alone():
    seen = Field(name="seen", owner="user", multi_hot=True, table="x")
    schema = schema_of(seen, Field(name="u", owner="user", table="y"), ITEM)
    batch = batch_of([[(1, 1), (2, 1)], [(3, 1)]], [[(4, 1)]], 1, 1)
    lookups = LookupPlan(schema, lists=("seen",)).prepare(batch)
    assert {table: (lookup.num_segments, lookup.num_elements) for table, lookup in lookups.items()} == {
        "main": (1, 0),
        "x": (3, 2),
        "y": (1, 0),
    }


def test_an_empty_batch_has_lists_without_elements():
    batch = batch_of([], [], 0, 1)
    lookup = LookupPlan(schema_of(*ATTENDED, ITEM), lists=("seen", "shops")).prepare(batch)["main"]
    assert [len(each.lengths) for each in lookup.lists.values()] == [0, 0]
    assert lookup.begins.tolist() == [0]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_impressions_are_counted_once_however_often_their_ids_are_looked_up(data):
    groups, per_group = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 3))
    ids = st.lists(st.tuples(st.integers(0, 6), st.just(1.0)), max_size=4)
    users = data.draw(st.lists(ids, min_size=2 * groups, max_size=2 * groups))
    own = data.draw(st.integers(0, 1))  # fields of impressions in this table, beside one in another
    impressions = data.draw(st.lists(ids, min_size=2 * groups * per_group, max_size=2 * groups * per_group))
    schema = schema_of(
        *(Field(name=f"u{i}", owner="user", multi_hot=True) for i in range(2)),
        *(Field(name=f"i{i}", owner="item", multi_hot=True, table="main" if i < own else "y") for i in range(2)),
    )
    batch = batch_of(users, impressions, groups, per_group)
    plain = LookupPlan(schema, count_impressions=True).prepare(batch)
    lists = LookupPlan(schema, count_impressions=True, lists=("u0", "u1")).prepare(batch)
    for table, lookup in plain.items():
        np.testing.assert_array_equal(np.asarray(lists[table].counts), np.asarray(lookup.counts))
        np.testing.assert_array_equal(lists[table].ids, lookup.ids)


def test_a_field_that_is_not_seen_has_no_segments_and_its_ids_are_not_asked_for():
    fields = (USER, Field(name="v", owner="user", multi_hot=True), ITEM, Field(name="w", owner="item", table="w"))
    batch = batch_of([[(9, 1)], [(3, 1)]], [[(3, 1)], [(5, 1)], [(7, 1)], [(6, 1)]], 1, 2)
    lookups = LookupPlan(schema_of(*fields), seen_fields=[fields[1], ITEM]).prepare(batch)
    main, other = lookups["main"], lookups["w"]
    assert (main.user_fields, main.impression_fields) == (("v",), ("i",))
    assert main.ids.tolist() == [3, 7]  # v's 3, i's 3 and 7
    assert indices_of(main) == [[0, 0], [1, 0], [2, 1]]
    assert main.id_segments.tolist() == [0, 1, 2]
    assert (other.user_fields, other.impression_fields, other.num_segments) == ((), (), 0)
    assert other.ids.tolist() == []
