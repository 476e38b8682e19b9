"""Everything at once: a log with weights, names and three labels, a model with a linear term and admission.

One run stops half-way and resumes, the other is never stopped. What predict, evaluate and export find must agree.
"""

import gzip
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.progress import NoProgress
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.sources import FlatSource
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, sample_name, serialized, tiny_groups, tiny_schema, weighted, write_dataset

pytestmark = pytest.mark.usefixtures("without_examples")

LABELS = ("click", "cart", "order")
TREE = LabelTree.of(LABELS)
COLUMNS = TREE.columns
HALF, WHOLE = 8, 20


def three_labels(groups: list[Group]) -> list[Group]:
    """An order follows every other cart; weights are 1 to 3."""
    longer = [
        replace(
            group,
            impressions=[replace(i, labels=(*i.labels, i.labels[1] * (i.sample_id % 2))) for i in group.impressions],
        )
        for group in groups
    ]
    return weighted(longer, lambda sample_id: 1.0 + sample_id % 3)


TEST = three_labels(tiny_groups(40, seed=2, first_sample=5000))
IMPRESSIONS = {sample_name(i.sample_id).decode(): (group, i) for group in TEST for i in group.impressions}


def rich_schema():
    source = FlatSource(
        form="flat",
        files={"train": "a.csv"},
        labels={"click": "c", "cart": "k", "order": "o"},
        sample_id="id",
        sample_id_form="text",
        weight="weight",
    )
    fields = tiny_schema().fields
    return tiny_schema(
        labels=LABELS, source=source, fields=(*fields[:3], replace(fields[3], combiner="sqrtn", weighted=True))
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``data``; runs ``whole`` and ``stopped``, the second of which was made in two pieces."""
    folder: Path = tmp_path_factory.mktemp("together")
    splits = {"train": tiny_groups(160), "validation": tiny_groups(120, seed=3, first_sample=9000)}
    groups = {name: three_labels(each) for name, each in splits.items()}
    write_dataset(folder / "data", {**groups, "test": TEST}, schema=rich_schema())
    for run, ends in (("whole", [WHOLE]), ("stopped", [HALF, WHOLE])):
        for max_steps in ends:
            settings = {
                "data": folder / "data",
                "run": str(folder / run),
                "max_steps": max_steps,
                "schedule": "cosine",
                "warmup_steps": 3,
                "input": {"global_batch_records": 16, "epochs": 2},
                "embedding": {"embedding_dim": 6, "admit_after": 2, "embedding_optimizer": "adagrad"},
                "model": {
                    "hidden_units": [8],
                    "dropout": 0.25,
                    "linear_scale": 2.0,
                    "linear_lists": "unit",
                    "task_weights": [1.0, 2.0],
                },
                "dense": {"dense_optimizer": "adagrad"},
                "evaluation": {
                    "eval_every_steps": 4,
                    "gauc_field": "user",
                    "eval_split": "validation",
                    "calibrate": "platt",
                },
                "checkpoint": {"checkpoint_every_steps": 4, "keep_checkpoints": 9},
            }
            result = train(build(TrainConfig, settings, where="test"), NoProgress())
            assert result.step == max_steps
    return folder


def predictions(folder: Path, out: Path, run: str = "whole", **settings) -> bytes:
    predict(PredictConfig(run=str(folder / run), data=folder / "data", out=out, **settings), NoProgress())
    return out.read_bytes()


@pytest.fixture(scope="module")
def table(folder) -> pa.Table:
    """The predictions of the run that was never stopped."""
    predictions(folder, folder / "scores.parquet")
    return pq.read_table(folder / "scores.parquet")


def test_every_impression_has_its_name_and_the_columns_of_the_chain(table):
    assert table.column_names == ["sample_id", *COLUMNS]
    assert sorted(table["sample_id"].to_pylist()) == sorted(IMPRESSIONS)
    p_a, p_b, p_c = (table[name].to_numpy() for name in ("p_click", "p_cart", "p_order"))
    np.testing.assert_allclose(p_b, p_a * table["p_cart_given_click"].to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(p_c, p_b * table["p_order_given_cart"].to_numpy(), rtol=1e-6)


def test_a_run_that_was_stopped_predicts_the_same_bytes(folder, table, tmp_path):
    assert predictions(folder, tmp_path / "scores.parquet", "stopped") == (folder / "scores.parquet").read_bytes()


def test_a_step_named_in_the_run_or_beside_it_is_the_same_older_model(folder, table, tmp_path):
    named = predictions(folder, tmp_path / "a.parquet", f"whole:{HALF}")
    assert predictions(folder, tmp_path / "b.parquet", "stopped", step=HALF) == named
    assert not pq.read_table(tmp_path / "a.parquet")["p_click"].equals(table["p_click"])


def test_skipping_bad_records_changes_nothing_where_there_are_none(folder, table, tmp_path):
    skipping = predictions(folder, tmp_path / "scores.parquet", on_bad_record="skip")
    assert skipping == (folder / "scores.parquet").read_bytes()


def test_a_compressed_csv_has_the_names_and_every_bit_of_the_probabilities(folder, table, tmp_path):
    data = gzip.decompress(predictions(folder, tmp_path / "scores.csv.gz"))
    types = {"sample_id": pa.string(), **dict.fromkeys(COLUMNS, pa.float32())}
    found = pacsv.read_csv(io.BytesIO(data), convert_options=pacsv.ConvertOptions(column_types=types))
    assert found.equals(table.replace_schema_metadata())


@pytest.mark.parametrize("run", ["whole", "stopped"])
def test_evaluation_is_that_of_the_end_of_training_and_of_the_predictions_with_their_weights(folder, table, run):
    config = EvaluateConfig(
        run=str(folder / run), data=folder / "data", split="test", gauc_field="user", baseline=False
    )
    found = evaluate(config, NoProgress())
    assert found.calibration is not None
    assert [label.curve.method for label in found.calibration.labels] == ["platt"] * 3
    tasks = found.tasks
    assert list(tasks) == ["click", "cart_given_click", "cart", "order_given_cart", "order"]
    rows = [IMPRESSIONS[name] for name in table["sample_id"].to_pylist()]
    conditional = [table[name].to_numpy() for name in ("p_click", "p_cart_given_click", "p_order_given_cart")]
    expected = evaluate_scores(
        [impression.labels for _, impression in rows],
        np.stack(conditional, axis=1),
        TREE,
        users=np.array([group.fields[0][0][0] for group, _ in rows]),
        weights=[impression.weight for _, impression in rows],
    )
    for name, task in tasks.items():
        assert (task.positives, task.impressions) == (expected[name].positives, expected[name].impressions)
        assert (task.gauc_users, task.gauc_one_class_users) == (
            expected[name].gauc_users,
            expected[name].gauc_one_class_users,
        )
        # Logits keep what probabilities of float32 have lost: a pair may be tied there, and is not here
        for figure in ("auc", "gauc", "log_loss", "calibration"):
            assert getattr(task, figure) == pytest.approx(getattr(expected[name], figure), rel=1e-5, nan_ok=True)


def test_an_exported_model_gives_the_names_and_predictions_of_the_records(folder, table):
    export(ExportConfig(run=str(folder / "stopped"), out=folder / "model"), NoProgress())
    score = tf.saved_model.load(str(folder / "model")).signatures["serving_default"]
    found = score(examples=tf.constant([serialized(group, rich_schema()) for group in TEST]))
    assert set(found) == {"sample_id", *COLUMNS}
    by_name = {row["sample_id"]: row for row in table.to_pylist()}
    names = [name.decode() for name in found["sample_id"].numpy()]
    assert sorted(names) == sorted(by_name)
    for column in COLUMNS:
        expected = [by_name[name][column] for name in names]
        np.testing.assert_allclose(found[column].numpy(), expected, rtol=2e-6)
