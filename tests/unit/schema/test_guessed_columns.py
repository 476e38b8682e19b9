"""A schema guessed from a table, by tables whose meaning is planted."""

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.errors import SchemaError
from esmm_dist.schema import Schema
from esmm_dist.schema.files import load_schema

ROWS = 400


def planted(**changes):
    draw = np.random.default_rng(1)
    user, item = draw.integers(0, 20, ROWS), draw.integers(0, 15, ROWS)
    click = draw.random(ROWS) < 0.5
    columns = {
        "impression_id": np.arange(ROWS) + 7,
        "userId": user,
        "age": user % 5,
        "item_id": item,
        "price": item * 1.5,
        "tags": [[f"t{each % 3}"] for each in item],
        "hour_of": draw.integers(0, 24, ROWS),
        "shown_at": np.arange(ROWS),
        "raw": [{"a": 1}] * ROWS,
        "click": click.astype(int),
        "purchase": (click & (draw.random(ROWS) < 0.5)),
    }
    return pa.table({name: value for name, value in {**columns, **changes}.items() if value is not None})


def test_labels_ids_owners_and_the_split_are_found_and_said():
    guess = Schema.from_table(planted())
    assert guess.schema.labels == ("click", "purchase")
    roles = {column: role for column, role, _ in guess.columns}
    assert roles == {
        "impression_id": "sample id",
        "userId": "user, category",
        "age": "user, category",
        "item_id": "item, category",
        "price": "item, number",
        "tags": "item, list",
        "hour_of": "context, category",
        "shown_at": "time",
        "raw": "left out",
        "click": "label 1",
        "purchase": "label 2",
    }
    source = guess.schema.flat_source
    assert source is not None
    assert source.sample_id == "impression_id"
    assert source.split is not None
    assert source.split.is_by_time
    assert source.split.time == "shown_at"
    for column, role, reason in guess.columns:
        assert any(column in line and role in line and reason in line for line in repr(guess).splitlines())


def test_whole_numbers_with_gaps_are_categories_as_without_them():
    """pandas reads a column of integers with empty cells as floats."""
    brands = [None if row % 9 == 0 else float(row % 15 + 100) for row in range(ROWS)]
    users = [None if row % 50 == 0 else float(row % 20) for row in range(ROWS)]
    guess = Schema.from_table(planted(brand=brands, userId=users))
    said = {column: (role, reason) for column, role, reason in guess.columns}
    assert said["brand"][0] == "context, category"
    assert "whole numbers, some missing" in said["brand"][1]
    assert said["userId"][0] == "user, category"


def test_what_a_guess_writes_is_the_schema_with_its_reasons(tmp_path):
    guess = Schema.from_table(planted())
    path = tmp_path / "mine.yaml"
    path.write_text(guess.to_yaml())
    assert load_schema(str(path)) == guess.schema
    assert "# userId " in guess.to_yaml()


def test_without_times_users_are_cut_and_without_both_nothing():
    by_user = Schema.from_table(planted(shown_at=None))
    assert "20% of the values of userId are the test split" in by_user.split
    neither = Schema.from_table(planted(shown_at=None, userId=None))
    assert neither.split.startswith("none: no column of times or users")


def test_a_label_that_others_do_not_lead_to_stands_beside_them():
    table = planted()
    click, purchase = (np.array(table[name]).astype(bool) for name in ("click", "purchase"))
    like = click & ~purchase & (np.arange(ROWS) % 4 == 0)
    guess = Schema.from_table(planted(like=like))
    assert guess.schema.label_tree.names == ("click", "purchase", "like")
    assert guess.schema.after == {"like": "click"}


@pytest.mark.parametrize(
    ("table", "labels", "said"),
    [
        (planted().slice(0, 0), (), "The table has no rows"),
        (planted(purchase=None), (), r"The table shows 1 label \(click\)"),
        (planted(), ("click", "buy"), "labels names column 'buy', which the table lacks"),
        (planted(), ("click", "age"), "labels names column 'age', whose values are not 0 and 1"),
    ],
)
def test_what_shows_no_labels_is_refused(table, labels, said):
    with pytest.raises(SchemaError, match=said):
        Schema.from_table(table, labels)
