"""Items by popularity: thirds of the train impressions, in the order of their counts."""

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.inference.popularity import item_groups
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset
from tests.support.vocabulary import write_vocabulary

MIDDLE, POPULAR, RARE, UNSEEN = 2, 3, 1, 0


@pytest.fixture
def data(tmp_path):
    return tmp_path, write_dataset(tmp_path, {"train": tiny_groups(8)})


def groups_of(data, rows, field="item"):
    folder, manifest = data
    write_vocabulary(folder, rows)
    return item_groups(folder, manifest, manifest.schema.field(field))


def test_each_group_holds_about_a_third_of_the_train_impressions(data):
    # 12 impressions: 4 items of 1, 2 items of 2, 1 of 4; other fields' counts and ids with none do not matter
    counts = {50: 1, 3: 1, 7: 1, 9: 1, 5: 2, 8: 2, 6: 4}
    rows = [("user", 6, 99), *(("item", id_, count) for id_, count in counts.items()), ("item", 70, 0)]
    found = groups_of(data, rows)
    assert found.of(np.array([3, 7, 9, 50, 5, 8, 6])).tolist() == [RARE] * 4 + [MIDDLE] * 2 + [POPULAR]
    assert found.of(np.array([-1, 4, 70, 99, 0])).tolist() == [UNSEEN] * 5
    assert found.notes == (
        "not in the vocabulary, or no id",
        "4 ids, once in train",
        "2 ids, 2 times in train",
        "1 ids, 4 times in train",
    )


def test_items_of_one_count_stay_together_where_their_middle_is(data):
    found = groups_of(data, [("item", id_, 5) for id_ in range(10)] + [("item", 10, 12), ("item", 11, 13)])
    # 75 impressions: those of ten items of 5 have their middle at 25, that is a third; 56 and 68.5 are above 50
    assert found.of(np.arange(12)).tolist() == [MIDDLE] * 10 + [POPULAR] * 2
    assert found.notes[1:] == ("no item", "10 ids, 5 times in train", "2 ids, 12 to 13 times in train")


def test_a_field_with_the_ids_of_another_has_its_counts(data):
    folder, _ = data
    write_vocabulary(folder, [("item", 4, 3), ("last_item", 9, 0)])
    field = Field(name="last_item", owner="user", ids_of="item")
    assert item_groups(folder, data[1], field).of(np.array([4, 9])).tolist() == [MIDDLE, UNSEEN]


def test_a_data_set_without_counts_has_unseen_items_only(data):
    assert groups_of(data, []).of(np.array([3, -1])).tolist() == [UNSEEN] * 2


def test_a_missing_and_a_damaged_vocabulary_are_refused_with_what_it_is_for(data):
    folder, manifest = data
    field = tiny_schema().field("item")
    for _ in range(2):
        with pytest.raises(InputDataError, match=r"vocabulary.parquet cannot be read .* leave out --segments"):
            item_groups(folder, manifest, field)
        (folder / "vocabulary.parquet").write_bytes(b"PAR1, not")
