"""The calibration that a checkpoint keeps is in every probability, and so is the correction for left-out negatives."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.calibration.curves import PlattScaling
from esmm_dist.calibration.label_counts import sigmoid
from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.config import build
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.export import DESCRIPTION, ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import MANIFEST_NAME
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from launcher import cli
from tests.support.tiny_dataset import Group, serialized, tiny_groups, tiny_schema, write_dataset

pytestmark = pytest.mark.usefixtures("without_examples")

KEPT = 0.1
"""Share of the train split's negatives in the thinned log."""
VALIDATION = tiny_groups(900, seed=3, first_sample=20_000)
TEST = tiny_groups(900, seed=2, first_sample=50_000)
COLUMNS = ("pctr", "pcvr", "pctcvr")


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def thinned(groups: list[Group]) -> list[Group]:
    """Leave out all but every tenth negative."""
    negatives = 0
    found = []
    for group in groups:
        kept = []
        for impression in group.impressions:
            negatives += impression.labels[0] == 0
            if impression.labels[0] == 1 or negatives % round(1 / KEPT) == 0:
                kept.append(impression)
        if kept:
            found.append(replace(group, impressions=kept))
    return found


def trained(folder: Path, train_groups: list[Group], **changes: Any) -> TrainResult:
    """Train a run on ``folder``'s data; ``keep_negatives`` is what the data set's manifest says."""
    kept = changes.pop("keep_negatives", 1.0)
    manifest = write_dataset(folder / "data", {"train": train_groups, "validation": VALIDATION, "test": TEST})
    (folder / "data" / MANIFEST_NAME).write_text(replace(manifest, keep_negatives=kept).to_json())
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 32, "epochs": 5},
        "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.1},
        "model": {"hidden_units": [8]},
        "dense": {"dense_learning_rate": 0.01},
        **changes,
    }
    return train(build(TrainConfig, settings, where="test"), NoProgress())


@pytest.fixture(scope="module", params=["platt", pytest.param("isotonic", marks=pytest.mark.slow)])
def calibrated(request, tmp_path_factory) -> Path:
    """A run of a thinned log whose checkpoint keeps a calibration."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    evaluation = {"eval_split": "validation", "calibrate": request.param, "baseline": False}
    trained(folder, thinned(tiny_groups(1500)), keep_negatives=KEPT, evaluation=evaluation)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, Path]:
    """Runs without a calibration: of the full log, and of the thinned one."""
    folders = {}
    for name, groups, kept in (("full", tiny_groups(1500), 1.0), ("thinned", thinned(tiny_groups(1500)), KEPT)):
        folders[name] = tmp_path_factory.mktemp(name)
        evaluation = {"eval_split": "test", "baseline": False}
        trained(folders[name], groups, keep_negatives=kept, evaluation=evaluation)
    return folders


def predicted(folder: Path, *, split: str = "test", **settings: Any) -> pa.Table:
    out = folder / f"scores-{len(list(folder.glob('scores-*')))}.parquet"
    config = PredictConfig(run=str(folder / "run"), data=folder / "data", split=split, out=out, **settings)
    predict(config, NoProgress())
    return pq.read_table(out).sort_by("sample_id")


def labels_of(groups: list[Group]) -> Any:
    """Return labels int64 [N, 2] in the order of sample ids."""
    return np.array([i.labels for i in sorted((i for g in groups for i in g.impressions), key=lambda i: i.sample_id)])


def ratio(table: pa.Table, labels: Any, task: str) -> float:
    """Return the sum of predictions over the sum of labels."""
    among = labels[:, 0] == 1 if task == "pcvr" else slice(None)
    return float(table[task].to_numpy()[among].sum() / labels[among, 0 if task == "pctr" else 1].sum())


def evaluated(folder: Path, **settings: Any) -> Any:
    return evaluate(
        EvaluateConfig(run=str(folder / "run"), data=folder / "data", baseline=False, **settings), NoProgress()
    )


def test_predictions_of_a_thinned_log_are_those_of_the_full_log_and_without_the_correction_far_off(plain):
    clicked = labels_of(TEST)[:, 0].mean()
    full, corrected = (predicted(plain[name])["pctr"].to_numpy().astype(np.float64) for name in ("full", "thinned"))
    assert full.mean() == pytest.approx(clicked, rel=0.1)
    assert corrected.mean() == pytest.approx(full.mean(), rel=0.1)
    uncorrected = sigmoid(np.log(corrected / (1 - corrected)) - np.log(KEPT))
    assert uncorrected.mean() > 1.5 * clicked


@pytest.mark.parametrize("task", COLUMNS)
def test_evaluation_corrects_as_predictions_do_and_so_does_that_of_training(plain, task):
    name = {"pctr": "ctr", "pcvr": "cvr", "pctcvr": "ctcvr"}[task]
    found = ratio(predicted(plain["thinned"]), labels_of(TEST), task)
    assert evaluated(plain["thinned"], split="test").tasks[name].calibration == pytest.approx(found, rel=1e-5)
    newest = json.loads((plain["thinned"] / "run/metrics.json").read_text())["newest"]
    assert newest["metrics"][name]["calibration"] == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("task", COLUMNS)
def test_calibrated_predictions_promise_what_happens_on_the_validation_split(calibrated, task):
    found = ratio(predicted(calibrated, split="validation"), labels_of(VALIDATION), task)
    before = ratio(predicted(calibrated, split="validation", calibrate=False), labels_of(VALIDATION), task)
    # the product is right as far as clicks beyond pCTR have nothing to do with pCVR
    assert found == pytest.approx(1.0, abs=0.04 if task == "pctcvr" else 0.003)
    assert task == "pctcvr" or abs(before - 1) > abs(found - 1)


@pytest.mark.parametrize("calibrate", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_evaluate_and_the_exported_model_have_the_probabilities_of_predict(calibrated, calibrate, tmp_path):
    table, labels = predicted(calibrated, calibrate=calibrate), labels_of(TEST)
    evaluation = evaluated(calibrated, split="test", calibrate=calibrate)
    assert (evaluation.calibration is not None) == calibrate
    for task, name in zip(COLUMNS, ("ctr", "cvr", "ctcvr"), strict=True):
        assert evaluation.tasks[name].calibration == pytest.approx(ratio(table, labels, task), rel=1e-5)
    out = tmp_path / "model"
    export(ExportConfig(run=str(calibrated / "run"), out=out, calibrate=calibrate), NoProgress())
    records = [serialized(group, tiny_schema()) for group in TEST]
    found = tf.saved_model.load(str(out)).signatures["serving_default"](examples=tf.constant(records))
    order = np.argsort(found["sample_id"].numpy())
    for task in COLUMNS:
        np.testing.assert_allclose(found[task].numpy()[order], table[task].to_numpy(), rtol=1e-6)
    description = json.loads((out / DESCRIPTION).read_text())
    assert description["keep_negatives"] == KEPT
    assert (description["calibration"] is not None) == calibrate


def test_a_calibration_keeps_the_aucs_of_ctr_and_cvr_to_the_last_bit(calibrated):
    with_it, without = (evaluated(calibrated, split="test", calibrate=each).tasks for each in (True, False))
    for name in ("ctr", "cvr"):
        assert with_it[name].auc == without[name].auc
        assert with_it[name].gauc == without[name].gauc
        assert with_it[name].log_loss != without[name].log_loss


def test_the_probability_of_the_last_label_is_the_product_of_calibrated_factors(calibrated):
    table = predicted(calibrated)
    np.testing.assert_allclose(
        table["pctcvr"].to_numpy(), table["pctr"].to_numpy() * table["pcvr"].to_numpy(), rtol=1e-6
    )


def test_the_line_is_applied_to_the_corrected_logit(calibrated):
    found = newest_checkpoint(Folder.open(str(calibrated / "run")), NoProgress())
    assert found is not None
    calibration = found.manifest.calibration
    assert calibration is not None
    curve = calibration.labels[0].curve
    raw = predicted(calibrated, calibrate=False)["pctr"].to_numpy().astype(np.float64)
    expected = sigmoid(curve.of(np.log(raw) - np.log1p(-raw)))
    np.testing.assert_allclose(predicted(calibrated)["pctr"].to_numpy(), expected, rtol=1e-4)
    if isinstance(curve, PlattScaling):
        assert 0.5 < curve.slope < 2  # of a corrected logit: without the correction intercepts take it up
        assert abs(curve.intercept) < 1


def test_each_use_says_how_its_probabilities_are_made(calibrated, tmp_path):
    kept = "Probabilities are those of the full log: training kept 0.1 of its negatives."
    run, data = str(calibrated / "run"), calibrated / "data"
    for calibrate in (True, False):
        uses = (
            partial(evaluate, EvaluateConfig(run=run, data=data, baseline=False, calibrate=calibrate)),
            partial(predict, PredictConfig(run=run, data=data, out=tmp_path / "a.csv", calibrate=calibrate)),
            partial(export, ExportConfig(run=run, out=tmp_path / f"model-{calibrate}", calibrate=calibrate)),
        )
        for use in uses:
            progress = Messages()
            use(progress)
            assert kept in progress.texts
            assert any(text.startswith("Calibrated by ") for text in progress.texts) == calibrate
            assert not any(text.startswith("Not calibrated") for text in progress.texts)


def test_a_checkpoint_without_the_calibration_of_its_run_says_so(tmp_path):
    evaluation = {"eval_split": "validation", "calibrate": "platt", "baseline": False}
    checkpoint = {"checkpoint_every_steps": 2, "keep_checkpoints": 99}
    trained(tmp_path, tiny_groups(100), evaluation=evaluation, checkpoint=checkpoint)
    for calibrate in (True, False):
        progress = Messages()
        predict(
            PredictConfig(
                run=str(tmp_path / "run"), step=2, data=tmp_path / "data", out=tmp_path / "a.csv", calibrate=calibrate
            ),
            progress,
        )
        said = [text for text in progress.texts if text.startswith("Not calibrated: the checkpoint of step 2 keeps no")]
        assert len(said) == calibrate


def test_the_switch_is_a_flag_of_each_command(calibrated, tmp_path, capsys):
    run = ["--run", str(calibrated / "run")]
    data = ["--data", str(calibrated / "data"), "--split", "test"]
    assert cli.main(["evaluate", *run, *data, "--no-baseline", "--no-calibrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibrated_by"] is None
    assert cli.main(["evaluate", *run, *data, "--no-baseline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibrated_by"]["split"] == "validation"
    assert cli.main(["predict", *run, *data, "--no-calibrate", "--out", str(tmp_path / "a.parquet")]) == 0
    found = pq.read_table(tmp_path / "a.parquet").sort_by("sample_id")
    assert found.equals(predicted(calibrated, calibrate=False))
    assert cli.main(["export", *run, "--no-calibrate", "--out", str(tmp_path / "model")]) == 0
    assert json.loads((tmp_path / "model" / DESCRIPTION).read_text())["calibration"] is None
