"""A model saved for plain TensorFlow gives the predictions of ``esmm predict``."""

import functools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.checkpoint.format import checkpoint_folder
from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.errors import CheckpointError, ConfigError, StorageError
from esmm_dist.inference.export import DESCRIPTION, ExportConfig, ExportResult, export
from esmm_dist.inference.export_assets import write
from esmm_dist.inference.export_folder import write_version
from esmm_dist.inference.exported_model import ExportedModel
from esmm_dist.inference.exported_table import ExportedTable
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from launcher import cli
from tests.support.tiny_dataset import Group, Impression, serialized, tiny_groups, tiny_schema, write_dataset

SEED = 5
COLUMNS = ("pctr", "pcvr", "pctcvr")

# Every way in which a field can be pooled: sum, mean, sqrtn, weighted or not, one table or another, a limit
SCHEMA = tiny_schema(
    fields=(
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, weighted=True, combiner="mean", max_ids=3),
        Field(name="item", owner="item", table="items"),
        Field(name="tags", owner="item", multi_hot=True, combiner="sqrtn"),
    )
)
UNSEEN = Group(
    fields=[[(1_777, 1.0)], [(2_999, 0.5), (2_001, 1.5), (2_998, 1.0), (2_002, 1.0)]],
    impressions=[
        Impression(sample_id=9_001, labels=(0, 0), fields=[[(2**63 - 1, 1.0)], []]),
        Impression(sample_id=9_002, labels=(0, 0), fields=[[(0, 1.0)], [(4_000, 1.0), (4_999, 1.0), (4_000, 1.0)]]),
    ],
)
EMPTY = Group(fields=[[], []], impressions=[Impression(sample_id=9_003, labels=(0, 0), fields=[[], []])])
TEST = [*tiny_groups(30, seed=2, first_sample=5000), UNSEEN, EMPTY]
RECORDS = [serialized(group, SCHEMA) for group in TEST]


@pytest.fixture
def without_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave ``golden.json`` and what stands beside it out: most of the seconds of an export without a SavedModel."""
    monkeypatch.setattr(write, "write_assets", lambda *_, **__: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, a run of two checkpoints (its steps 5 and 10), its predictions and its SavedModel."""
    return exported(tmp_path_factory.mktemp("export"))


def exported(folder: Path, **model: Any) -> Path:
    write_dataset(folder / "data", {"train": tiny_groups(160), "test": TEST}, schema=SCHEMA)
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "seed": SEED,
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4, "embedding_dim_by_table": {"items": 6}, "start_scale": 0.5},
        "model": {"hidden_units": [8], "linear_scale": 0.5, "linear_lists": "unit", **model},
        "checkpoint": {"checkpoint_every_steps": 5},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=folder / "scores.parquet"), NoProgress())
    export(ExportConfig(run=str(folder / "run"), out=folder / "model"), NoProgress())
    return folder


def expected_scores(folder: Path) -> dict[int, tuple[float, ...]]:
    """Read what predict wrote, by sample id."""
    return by_sample(pq.read_table(folder / "scores.parquet").to_pydict())


def by_sample(columns: dict[str, Any]) -> dict[int, tuple[float, ...]]:
    rows = zip(*(columns[name] for name in ("sample_id", *COLUMNS)), strict=True)
    return {int(sample_id): tuple(map(float, values)) for sample_id, *values in rows}


@functools.lru_cache(maxsize=2)  # loading takes seconds
def loaded(model: Path) -> Any:
    return tf.saved_model.load(str(model)).signatures


def signature(model: Path, name: str = "serving_default") -> Any:
    return loaded(model)[name]


def scores_of(model: Path, records: list[bytes]) -> dict[int, tuple[float, ...]]:
    found = signature(model)(examples=tf.constant(records))
    assert set(found) == {"sample_id", *COLUMNS}
    return by_sample({name: tensor.numpy() for name, tensor in found.items()})


def assert_equal_scores(found: dict[int, tuple[float, ...]], expected: dict[int, tuple[float, ...]]) -> None:
    assert found.keys() == expected.keys()
    samples = sorted(expected)
    # A matrix product may add in another order for another number of rows; nothing else may differ
    np.testing.assert_allclose([found[i] for i in samples], [expected[i] for i in samples], rtol=1e-6, atol=0)


def test_scores_are_those_of_predict_for_seen_and_unseen_ids_and_every_combiner(folder):
    expected = expected_scores(folder)
    assert {9_001, 9_002, 9_003} < expected.keys()
    assert_equal_scores(scores_of(folder / "model", RECORDS), expected)


@pytest.mark.parametrize(
    "model",
    [
        {},
        pytest.param({"share_embeddings": False}, marks=pytest.mark.slow),
        pytest.param({"share_network": True, "attention_units": []}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_lists_that_are_attended_to_are_cut_and_weighted_as_in_training(tmp_path, model, without_examples):
    # history and tags have rows in one table
    folder = exported(tmp_path, network="din", attend=["history=tags"], **model)
    expected = expected_scores(folder)
    assert_equal_scores(scores_of(folder / "model", RECORDS), expected)
    line = [sys.executable, "-I", "-c", CLEAN_PROCESS, str(folder / "model"), str(folder / "data")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert_equal_scores(by_sample(json.loads(done.stdout.splitlines()[-1])), expected)


def test_scores_do_not_depend_on_what_else_is_asked(folder):
    model = signature(folder / "model")
    alone = [model(examples=tf.constant([record])) for record in RECORDS]
    columns = {name: np.concatenate([found[name] for found in alone]) for name in ("sample_id", *COLUMNS)}
    assert_equal_scores(by_sample(columns), expected_scores(folder))
    assert all(tensor.shape == [0] for tensor in model(examples=tf.constant([], tf.string)).values())


CLEAN_PROCESS = """
import importlib.abc, json, pathlib, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"esmm_dist", "launcher", "tensorflow_recommenders_addons", "horovod"}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
import tensorflow as tf
model, data = sys.argv[1:]
files = sorted(str(path) for path in pathlib.Path(data, "test").glob("*.tfrecord"))
records = list(tf.data.TFRecordDataset(files, compression_type="ZLIB").as_numpy_iterator())
found = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(records))
print(json.dumps({name: tensor.numpy().tolist() for name, tensor in found.items()}))
"""


def test_a_process_with_nothing_but_tensorflow_gives_the_scores_of_predict_from_the_files_of_preprocess(folder):
    line = [sys.executable, "-I", "-c", CLEAN_PROCESS, str(folder / "model"), str(folder / "data")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert_equal_scores(by_sample(json.loads(done.stdout.splitlines()[-1])), expected_scores(folder))


def test_the_python_of_the_readme_gives_the_scores_of_predict(folder):
    text = (Path(__file__).parents[3] / "esmm_dist/inference/README.md").read_text(encoding="utf-8")
    snippet = next(each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "serving_default" in each)
    names: dict[str, Any] = {"records": RECORDS}
    exec(compile(snippet.replace('"model/1"', repr(str(folder / "model"))), "README.md", "exec"), names)
    found = {name: names["found"][name].numpy() for name in ("sample_id", *COLUMNS)}
    expected = expected_scores(folder)
    assert sorted(found["sample_id"]) == sorted(expected)
    for sample_id, *values in zip(*found.values(), strict=True):
        np.testing.assert_allclose(values, expected[sample_id], rtol=1e-6)


def test_ready_features_get_the_scores_of_their_records(folder):
    def flat(part: str) -> tuple[list[int], list[int], list[float]]:
        rows = [g.fields if part == "user" else [f for i in g.impressions for f in i.fields] for g in TEST]
        fields = [values for row in rows for values in row]
        features = [feature for values in fields for feature in values]
        return [id_ for id_, _ in features], [len(values) for values in fields], [weight for _, weight in features]

    user_ids, user_lengths, user_weights = flat("user")
    impression_ids, impression_lengths, _ = flat("impression")
    found = signature(folder / "model", "features")(
        user_ids=tf.constant(user_ids, tf.int64),
        user_lengths=tf.constant(user_lengths, tf.int64),
        user_weights=tf.constant(user_weights, tf.float32),
        impression_ids=tf.constant(impression_ids, tf.int64),
        impression_lengths=tf.constant(impression_lengths, tf.int64),
        impressions_per_group=tf.constant([len(g.impressions) for g in TEST], tf.int64),
    )
    columns = {name: tensor.numpy() for name, tensor in found.items()}
    columns["sample_id"] = np.array([i.sample_id for g in TEST for i in g.impressions])
    assert_equal_scores(by_sample(columns), expected_scores(folder))


def test_ids_by_field_get_the_scores_of_predict_and_minus_1_is_a_missing_one(folder):
    groups = [group for group in TEST if group is not UNSEEN]  # whose ids without a row values leaves out
    impressions = [impression for group in groups for impression in group.impressions]
    histories, tags = [group.fields[1] for group in groups], [each.fields[1] for each in impressions]
    ids = {
        "user": [group.fields[0][0][0] if group.fields[0] else -1 for group in groups],
        "history": [id_ for values in histories for id_, _ in values],
        "history_lengths": [len(values) for values in histories],
        "item": [each.fields[0][0][0] if each.fields[0] else -1 for each in impressions],
        "tags": [id_ for values in tags for id_, _ in values],
        "tags_lengths": [len(values) for values in tags],
        "impressions_per_group": [len(group.impressions) for group in groups],
    }
    assert -1 in ids["user"]
    assert -1 in ids["item"]
    inputs = {name: tf.constant(values, tf.int64) for name, values in ids.items()}
    inputs["history_weights"] = tf.constant([weight for values in histories for _, weight in values])
    score = signature(folder / "model", "values")
    found = {name: tensor.numpy() for name, tensor in score(**inputs).items()}
    expected = expected_scores(folder)
    samples = [each.sample_id for each in impressions]
    assert_equal_scores(by_sample({"sample_id": samples, **found}), {sample: expected[sample] for sample in samples})
    with pytest.raises(tf.errors.InvalidArgumentError, match="item has a number below -1: ids are 0 to 2"):
        score(**{**inputs, "item": tf.constant([-2, *ids["item"][1:]], tf.int64)})
    described = json.loads((folder / "model" / DESCRIPTION).read_text())["values"]["history"]
    assert described == {"value": "history", "lengths": "history_lengths", "weights": "history_weights"}


def test_records_of_another_schema_are_refused(folder):
    two_items = replace(EMPTY, impressions=[replace(EMPTY.impressions[0], fields=[[], [], []])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="no records of the schema tiny: its impression fields"):
        signature(folder / "model")(examples=tf.constant([serialized(two_items, SCHEMA)]))


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**64 + 1])
def test_an_id_without_a_row_reads_the_start_value_of_a_store(seed):
    ids = np.array([3, -1, 0, 2**63 - 1, -(2**63), 10**15], dtype=np.int64)
    start = StartValues(embedding_dim=3, scale=0.5, seed=seed)
    empty = SortedRows(ids=np.empty(0, np.int64), rows=np.empty((0, 3), np.float32))
    np.testing.assert_array_equal(
        ExportedTable(empty, start, seed=seed, name="t").lookup(tf.constant(ids)), start.rows(ids)
    )
    known = SortedRows(ids=np.array([-1, 3]), rows=np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
    found = ExportedTable(known, start, seed=seed, name="t").lookup(tf.constant(ids)).numpy()
    np.testing.assert_array_equal(found[:2], [[4, 5, 6], [1, 2, 3]])
    np.testing.assert_array_equal(found[2:], start.rows(ids)[2:])


def test_a_longer_chain_has_the_columns_of_predict():
    labels = ("click", "cart", "buy")
    schema = tiny_schema(labels=labels)
    model = Esmm(schema, EmbeddingConfig(embedding_dim=4), ModelConfig(hidden_units=(3,)), seed=1)
    model.towers[0].variables[-1].assign([0.5])  # the last bias is the logit of an impression without ids
    rows = SortedRows(ids=np.empty(0, np.int64), rows=np.empty((0, 4), np.float32))
    table = ExportedTable(rows, StartValues(embedding_dim=4, scale=0.0, seed=1), seed=1, name="main")
    record = serialized(replace(EMPTY, impressions=[replace(EMPTY.impressions[0], labels=(0, 0, 0))]), schema)
    found = ExportedModel(schema, ExportedTowers(schema, model, LogitTransform()), {"main": table}).signatures()[
        "serving_default"
    ](tf.constant([record]))
    assert list(found) == ["sample_id", *schema.label_tree.columns]
    expected = probabilities(np.array([[0.5, 0.0, 0.0]], dtype=np.float32), schema.label_tree)
    np.testing.assert_array_equal([found[name].numpy() for name in schema.label_tree.columns], expected)


def test_the_folder_says_what_it_was_made_from_and_the_report_how_to_load_it(folder, tmp_path, capsys):
    out = tmp_path / "new/model"
    assert cli.main(["export", "--run", str(folder / "run"), "--out", str(out), "--step", "5"]) == 0
    report = capsys.readouterr().out
    assert report.startswith("Wrote the model at step 5 with ")
    assert f'tf.saved_model.load("{out}").signatures["serving_default"]' in report
    description = json.loads((out / DESCRIPTION).read_text())
    assert description["step"] == 5
    assert build(Schema, description["schema"], where="test") == SCHEMA
    assert description["run"] == str(folder / "run")
    assert set(description["rows"]) == {"items", "main"}
    assert [path.name for path in out.parent.iterdir()] == ["model"]


@pytest.mark.usefixtures("without_examples")
def test_a_damaged_checkpoint_is_passed_over_but_not_if_it_was_asked_for(folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    newest = checkpoint_folder(Folder.open(run), 10).local_path
    rows = max(newest.glob("*.arrow"))
    rows.write_bytes(rows.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=f"{rows.name} has another checksum"):
        export(ExportConfig(run=str(run), out=tmp_path / "model", step=10), NoProgress())
    assert export(ExportConfig(run=str(run), out=tmp_path / "model", form="shards"), NoProgress()).step == 5


def test_a_run_or_a_step_without_a_checkpoint_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint. Train first: esmm train"):
        export(ExportConfig(run=str(tmp_path), out=tmp_path / "model"), NoProgress())
    with pytest.raises(CheckpointError, match="has no checkpoint of step 7. It has: 5, 10"):
        export(ExportConfig(run=str(folder / "run"), out=tmp_path / "model", step=7), NoProgress())
    with pytest.raises(ConfigError, match="step is -1"):
        ExportConfig(run=str(folder / "run"), out=tmp_path / "model", step=-1)


@pytest.mark.usefixtures("without_examples")
def test_an_output_that_exists_is_refused(folder, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("absent")
    for name in ("file", "folder", "dangling"):
        with pytest.raises(ConfigError, match=f"out is {tmp_path / name}, which exists. Give the name of a new folder"):
            ExportConfig(run=str(folder / "run"), out=tmp_path / name)
    config = ExportConfig(run=str(folder / "run"), out=tmp_path / "later", form="shards")
    config.out.mkdir()
    with pytest.raises(StorageError, match="later was made by someone else meanwhile"):
        export(config, NoProgress())
    assert list(config.out.iterdir()) == []
    assert not list(tmp_path.glob(".later*"))


def test_two_exports_to_one_folder_do_not_mix(tmp_path):
    def write_again(version: Path) -> None:
        (version / "file").write_text("first")
        with pytest.raises(StorageError, match=f"Another process is exporting to {tmp_path}/1. Wait for it, or give"):
            write_version(tmp_path / "1", lambda _: None)

    write_version(tmp_path / "1", write_again)
    assert (tmp_path / "1/file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.usefixtures("without_examples")
def test_what_a_killed_export_left_is_removed_and_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    left = tmp_path / ".model.exporting"
    left.mkdir()
    (left / "saved_model.pb").write_text("half")
    export(ExportConfig(run=str(folder / "run"), out=tmp_path / "model", form="shards"), NoProgress())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "file").touch()
    out = tmp_path / "file/model"
    with pytest.raises(
        StorageError, match=f"{tmp_path}/file: the system refuses .*Move it away, or choose another place"
    ):
        export(ExportConfig(run=str(folder / "run"), out=out, form="shards"), NoProgress())


def test_the_report_says_how_to_load_a_saved_model_and_how_to_serve_shards_that_have_none():
    shards = ExportResult(path="models/1", step=1, rows={"t": 3}, folder_bytes=10, seconds=1.0)
    _, serve = shards.lines()
    assert serve == "Serve it over HTTP: esmm serve models"
    for path, served in (("models/2.delta", "models"), ("3", "."), ("my model", "'my model'"), ("a/b", "a/b")):
        assert replace(shards, path=path).lines()[-1] == f"Serve it over HTTP: esmm serve {served}"
    _, load, takes, records, serve = replace(shards, value_inputs=("user", "item", "impressions_per_group")).lines()
    assert load.endswith('tf.saved_model.load("models/1").signatures["values"]')
    assert takes == (
        "It takes the columns of the log, with the number of impressions of each user context: user, item, "
        "impressions_per_group."
    )
    assert records == 'tf.saved_model.load("models/1").signatures["serving_default"] takes records.'
    assert serve == "Serve it over HTTP: esmm serve models"
