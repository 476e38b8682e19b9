"""What an export leaves out or stores smaller: the SavedModel and the served rows agree, and the change is measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.inference.export import ExportConfig, ExportResult, export, used_fields
from esmm_dist.inference.used_fields import UsedFields
from esmm_dist.model.pooled_fields import BesidePooled, ListElements
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.row_types import read_back
from tests.support.saved_models import saved_rows
from tests.support.tiny_dataset import HISTORY, ITEMS, TAGS, USERS, tiny_schema, write_dataset
from tests.support.vocabulary import write_vocabulary
from tests.unit.inference.test_export import COLUMNS, EMPTY, RECORDS, SCHEMA, TEST, exported, signature

STEP = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run and its plain export."""
    return exported(tmp_path_factory.mktemp("choices"))


def made(folder: Path, out: Path, **settings: Any) -> ExportResult:
    return export(ExportConfig(run=str(folder / "run"), out=out, **settings), NoProgress())


def scores(model: Path, records: list[bytes] = RECORDS) -> np.ndarray[Any, Any]:
    found = signature(model)(examples=tf.constant(records))
    return np.stack([found[name].numpy() for name in COLUMNS])


def golden_answers(model: Path) -> list[Any]:
    golden = json.loads((model / "assets.extra/golden.json").read_text(encoding="utf-8"))
    return [each["answer"] for each in golden["requests"]]


@pytest.mark.parametrize("dtype", [pytest.param("float16", marks=pytest.mark.slow), "int8"])
def test_smaller_rows_are_the_same_in_the_saved_model_and_in_served(folder: Path, tmp_path: Path, dtype: Any):
    result = made(folder, tmp_path / "1", dtype=dtype)
    mapped = MappedModel.open([tmp_path / "1"])
    for table in SCHEMA.tables:
        trained = saved_rows(folder / "run", STEP, table)
        of_disk = mapped.tables[table].rows_in(0, 4096)
        order = np.argsort(of_disk.ids)
        np.testing.assert_array_equal(of_disk.ids[order], trained["ids"])
        assert of_disk.values.dtype == dtype
        assert of_disk.scales is not None
        found, has_row = mapped.tables[table].find(trained["ids"])
        assert has_row.all()
        np.testing.assert_array_equal(found, read_back(of_disk.values[order], of_disk.scales[order]))
        most = np.abs(trained["rows"]).max(axis=1, keepdims=True)
        assert (np.abs(found - trained["rows"]) <= most * (2.0**-11 if dtype == "float16" else 1 / 250)).all()
    plain, smaller = scores(folder / "model"), scores(tmp_path / "1")
    assert (plain != smaller).any()
    np.testing.assert_allclose(smaller, plain, rtol=0.05)
    change = result.auc_change
    assert change is not None
    assert (change.split, change.impressions) == ("test", sum(len(group.impressions) for group in TEST))
    assert change.tasks["ctr"].before == pytest.approx(auc(plain[0], 0))
    assert change.tasks["ctr"].after == pytest.approx(auc(smaller[0], 0))
    assert change.tasks["ctr"].change == pytest.approx(auc(smaller[0], 0) - auc(plain[0], 0))
    assert "AUC on " in "\n".join(result.lines())


def auc(values: np.ndarray[Any, Any], label: int) -> float:
    """Return the AUC by its definition: the share of pairs in the right order, ties by half."""
    labels = np.array([i.labels[label] for group in TEST for i in group.impressions])
    positive, negative = values[labels == 1][:, np.newaxis], values[labels == 0]
    return float(((positive > negative) + 0.5 * (positive == negative)).mean())


def test_shards_alone_hold_what_served_holds_beside_a_saved_model(folder: Path, tmp_path: Path):
    result = made(folder, tmp_path / "1", form="shards")
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == ["assets.extra", "served"]
    assert result.value_inputs == ()
    whole, shards = MappedModel.open([folder / "model"]), MappedModel.open([tmp_path / "1"])
    assert shards.manifest.model_id == whole.manifest.model_id == result.model_id
    assert shards.manifest.tables == whole.manifest.tables
    assert golden_answers(tmp_path / "1") == golden_answers(folder / "model")


def test_rows_that_few_steps_have_changed_are_left_out_and_read_as_unseen(folder: Path, tmp_path: Path):
    counts = {table: saved_rows(folder / "run", STEP, table) for table in SCHEMA.tables}
    result = made(folder, tmp_path / "1", min_count=6)
    rare = {table: rows["ids"][rows["count"] < 6] for table, rows in counts.items()}
    assert result.rows == {table: len(rows["ids"]) - len(rare[table]) for table, rows in counts.items()}
    assert result.rows_left_out == {"rare": sum(map(len, rare.values())), "of_other_fields": 0}
    assert result.rows_left_out["rare"] > 5
    for table, ids in rare.items():
        assert not MappedModel.open([tmp_path / "1"]).tables[table].knows(ids).any()
    kept = saved_rows(folder / "run", STEP, "items")
    kept_ids = kept["ids"][kept["count"] >= 6]
    assert MappedModel.open([tmp_path / "1"]).tables["items"].knows(kept_ids).all()
    assert (scores(tmp_path / "1") != scores(folder / "model")).any()
    assert f"{result.rows_left_out['rare']:,} rows that too few steps had changed" in "\n".join(result.lines())


def test_a_model_of_some_fields_scores_as_if_the_others_had_no_value(folder: Path, tmp_path: Path):
    users, tags = [USERS + n for n in range(20)], [TAGS + n for n in range(8)]
    others = [("user", id_, 1) for id_ in users] + [("tags", id_, 1) for id_ in tags]
    ours = [("item", ITEMS + n, 1) for n in range(12)] + [("history", HISTORY + n, 1) for n in range(30)]
    write_vocabulary(folder / "data", [*others, *ours])
    result = made(folder, tmp_path / "1", fields=("item", "history"))
    trained = saved_rows(folder / "run", STEP, "main")["ids"]
    left_out = np.isin(trained, [*users, *tags])
    assert result.rows_left_out == {"rare": 0, "of_other_fields": left_out.sum()}
    np.testing.assert_array_equal(MappedModel.open([tmp_path / "1"]).tables["main"].knows(trained), ~left_out)
    found = signature(tmp_path / "1", "features")
    whole = signature(folder / "model", "features")
    history, item = [HISTORY + 1, HISTORY + 2], [ITEMS + 3]
    given = features([USERS + 1, *history], [1, 2], [*item, TAGS + 1], [1, 1])
    blanked = features(history, [0, 2], item, [1, 0])
    for name in COLUMNS:
        np.testing.assert_allclose(found(**given)[name], whole(**blanked)[name], rtol=1e-6)
        assert found(**given)[name] != whole(**given)[name]


def features(user_ids: list[int], user_lengths: list[int], ids: list[int], lengths: list[int]) -> dict[str, tf.Tensor]:
    lists = {
        "user_ids": user_ids,
        "user_lengths": user_lengths,
        "impression_ids": ids,
        "impression_lengths": lengths,
        "impressions_per_group": [1],
    }
    given = {name: tf.constant(values, tf.int64) for name, values in lists.items()}
    return {**given, "user_weights": tf.ones([len(user_ids)])}


def test_a_list_that_is_attended_to_is_empty_where_it_is_left_out():
    fields = [field for field in SCHEMA.fields if field.table == "main"]  # user and history; tags
    pooled = {"main": tf.constant([[1.0], [2.0], [3.0], [4.0], [10.0], [11.0]])}  # G = 1, B = 2, two elements
    lists = {"history": ListElements(tf.constant([2], tf.int64), tf.constant([0.5, 0.5]))}
    numbers = tf.constant(2, tf.int64), tf.constant(1, tf.int64)
    only = UsedFields(fields, ["main"], ["history"], {"user"})
    found, beside = only.only(pooled, BesidePooled({}, lists), *numbers)
    assert found["main"].numpy().tolist() == [[1], [0], [0], [0]]
    assert (beside.lists["history"].lengths.numpy().tolist(), len(beside.lists["history"].weights)) == ([0], 0)
    only = UsedFields(fields, ["main"], ["history"], {"history", "tags"})
    found, beside = only.only(pooled, BesidePooled({}, lists), *numbers)
    assert found["main"].numpy().tolist() == [[0], [2], [3], [4], [10], [11]]
    assert beside.lists["history"].lengths.numpy().tolist() == [2]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"min_count": -1}, ConfigError, "min_count is -1. Give 0, which leaves out no row, or more"),
        ({"fields": ("items",)}, ConfigError, "has no field 'items'.*item"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    folder: Path, tmp_path: Path, settings: Any, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        made(folder, tmp_path / "1", form="shards", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_the_model_does_not_see_is_refused():
    with pytest.raises(ConfigError, match="fields names 'tags', which the model does not see .* It sees: user, item"):
        used_fields(SCHEMA, ("user", "tags"), ["user", "item"])


def test_data_of_another_schema_is_refused_and_none_is_said_to_be_missing(folder: Path, tmp_path: Path):
    write_dataset(tmp_path / "other", {"test": [EMPTY]}, schema=tiny_schema())
    with pytest.raises(SchemaError, match="The schema of .*other.* is not that of the model.*Give the data set of the"):
        made(folder, tmp_path / "1", dtype="int8", data=tmp_path / "other")
    (folder / "data").rename(folder / "moved")
    write_vocabulary(folder / "moved", [("user", USERS, 1)])
    try:
        result = made(folder, tmp_path / "2", dtype="int8", form="shards")
        assert result.auc_change is None
        [note] = result.notes
        assert note.startswith("The change of AUC was not measured: the data set that the run was trained on, ")
        assert note.endswith("is not within reach. Give the data set by --data.")
        assert made(folder, tmp_path / "3", min_count=3, form="shards", data=folder / "moved").auc_change is not None
    finally:
        (folder / "moved").rename(folder / "data")
