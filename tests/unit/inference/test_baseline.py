"""Logistic regression beside an evaluation."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import esmm_dist.inference.baseline as baseline_module
from esmm_dist.config import build
from esmm_dist.inference import logistic_regression
from esmm_dist.inference.baseline import Baseline, try_baseline
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, Impression, tiny_groups, write_dataset

TRAIN, TEST = tiny_groups(400), tiny_groups(120, seed=2, first_sample=5000)


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("baseline") / "data"
    write_dataset(folder, {"train": TRAIN, "test": TEST})
    return folder


def found(data: Path, split: str = "test") -> tuple[Baseline | None, list[str]]:
    messages = Messages()
    return try_baseline(data, read_manifest(data), split, "fail", messages), messages.texts


def one_hot(groups: list[Group]) -> tuple[list[dict[str, float]], np.ndarray]:
    """Return each impression's features, a list's weights divided by their length, and the labels."""
    rows, labels = [], []
    for group in groups:
        for impression in group.impressions:
            row: dict[str, float] = {}
            for field, values in enumerate([*group.fields, *impression.fields]):
                length = math.sqrt(sum(weight**2 for _, weight in values))
                for id_, weight in values:
                    row[f"{field}={id_}"] = row.get(f"{field}={id_}", 0.0) + weight / length
            rows.append(row)
            labels.append(impression.labels)
    return rows, np.array(labels)


def test_the_baseline_is_one_regression_a_task_on_the_ids_of_its_impressions(data):
    baseline, messages = found(data)
    assert baseline is not None
    assert messages == []
    vectors = DictVectorizer()
    (train_rows, train_labels), (test_rows, test_labels) = one_hot(TRAIN), one_hot(TEST)
    x, z = vectors.fit_transform(train_rows), vectors.transform(test_rows)
    clicked, test_clicked = train_labels[:, 0] == 1, test_labels[:, 0] == 1
    everything, test_everything = np.ones(len(clicked), bool), np.ones(len(test_clicked), bool)
    for task, label, of_train, of_test in (
        ("ctr", 0, everything, test_everything),
        ("cvr", 1, clicked, test_clicked),
        ("ctcvr", 1, everything, test_everything),
    ):
        model = LogisticRegression(C=0.2, tol=1e-6).fit(x[of_train], train_labels[of_train, label])
        expected = roc_auc_score(test_labels[of_test, label], model.decision_function(z[of_test]))
        # stopped earlier here, with columns in another order
        assert baseline.auc[task] == pytest.approx(expected, abs=0.01)
        assert expected > 0.6
    assert (baseline.train_impressions, baseline.test_impressions) == (len(clicked), len(test_clicked))
    assert baseline.lines() == [
        f"baseline: logistic regression on one-hot ids, trained on all {len(clicked):,} train impressions"
    ]


def test_the_same_data_give_the_same_baseline(data):
    assert found(data)[0] == found(data)[0]


@pytest.mark.parametrize("bound", ["MAX_IMPRESSIONS", "MAX_VALUES"])
def test_large_data_are_read_in_part_and_the_report_says_so(data, bound, monkeypatch):
    monkeypatch.setattr(logistic_regression, bound, 40)
    monkeypatch.setattr(baseline_module, "_BATCH_RECORDS", 4)
    baseline, _ = found(data)
    assert baseline is not None
    assert 0 < baseline.train_impressions <= 40 + 4 * 4
    assert 0 < baseline.test_impressions <= 40 + 4 * 4
    total = sum(len(group.impressions) for group in TRAIN)
    assert (
        f"trained on {baseline.train_impressions} of {total:,} train impressions, evaluated on " in baseline.lines()[0]
    )


def test_a_task_with_one_class_has_no_auc_and_no_warning(tmp_path):
    def without_conversions(groups: list[Group]) -> list[Group]:
        return [
            Group(
                fields=group.fields,
                impressions=[
                    Impression(sample_id=i.sample_id, labels=(i.labels[0], 0), fields=i.fields)
                    for i in group.impressions
                ],
            )
            for group in groups
        ]

    write_dataset(tmp_path / "data", {"train": without_conversions(TRAIN), "test": without_conversions(TEST)})
    baseline, _ = found(tmp_path / "data")
    assert baseline is not None
    assert baseline.auc["ctr"] > 0.6
    assert math.isnan(baseline.auc["ctcvr"])
    assert Baseline.from_mapping(json.loads(json.dumps(baseline.to_mapping()))).auc["ctr"] == baseline.auc["ctr"]
    assert baseline.warnings({"ctcvr": metrics(math.nan)}) == []


def test_a_test_split_without_a_click_has_a_baseline_without_cvr(tmp_path):
    def without_clicks(group: Group) -> Group:
        return replace(group, impressions=[replace(each, labels=(0, 0)) for each in group.impressions])

    write_dataset(tmp_path / "data", {"train": TRAIN, "test": [without_clicks(group) for group in TEST]})
    baseline, _ = found(tmp_path / "data")
    assert baseline is not None
    assert all(math.isnan(auc) for auc in baseline.auc.values())  # one class in each task, and no impression for cvr


def test_what_cannot_have_a_baseline_says_why(data, tmp_path):
    assert found(data, "train") == (
        None,
        ["No baseline: it would be evaluated on the impressions that it was trained on."],
    )
    write_dataset(tmp_path / "test-only", {"test": TEST})
    none, messages = found(tmp_path / "test-only")
    assert none is None
    assert messages == [f"No baseline: {tmp_path / 'test-only'} has no train split to train it on."]
    write_dataset(tmp_path / "damaged", {"train": TRAIN, "test": TEST})
    next((tmp_path / "damaged" / "train").iterdir()).unlink()
    none, messages = found(tmp_path / "damaged")
    assert none is None
    assert messages[0].startswith("No baseline: ")


def metrics(auc: float) -> TaskMetrics:
    return TaskMetrics(
        auc=auc, auc_standard_error=0.01, log_loss=0.5, calibration=1.0, positives=10, impressions=20, gauc=0.6
    )


def test_a_model_below_the_baseline_by_more_than_the_standard_error_is_told():
    baseline = Baseline(
        auc={"ctr": 0.7, "cvr": 0.7, "ctcvr": 0.7},
        auc_standard_error={"ctr": 0.01, "cvr": 0.03, "ctcvr": 0.01},  # the baseline's, of part of the impressions
        train_impressions=50,
        test_impressions=20,
        of_train_impressions=100,
        of_test_impressions=20,
    )
    warnings = baseline.warnings({"ctr": metrics(0.689), "cvr": metrics(0.68), "ctcvr": metrics(0.691)})
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "ctr: the model's AUC 0.6890 is below the 0.7000 of logistic regression by more than the standard error, "
        "0.0100."
    )
    table = metrics_table({"ctr": metrics(0.689)}, baseline)
    assert table[0].split()[:6] == ["task", "AUC", "std.", "error", "baseline", "GAUC"]
    assert table[1].split()[:5] == ["ctr", "0.6890", "±", "0.0100", "0.7000"]
    assert table[2] == "baseline: logistic regression on one-hot ids, trained on 50 of 100 train impressions"
    assert "baseline" not in metrics_table({"ctr": metrics(0.689)})[0]


def trained(data: Path, run: Path, **settings: Any) -> TrainResult:
    mapping = {"data": data, "run": str(run), "input": {"global_batch_records": 16, "epochs": 1}, **settings}
    return train(build(TrainConfig, mapping, where="test"), NoProgress())


def test_a_training_ends_with_the_baseline_and_keeps_it(data, tmp_path, monkeypatch):
    result = trained(data, tmp_path / "run")
    expected, _ = found(data)
    assert result.baseline == expected
    assert expected is not None
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert kept["baseline"] == {"split": "test", **expected.to_mapping()}
    evaluated = evaluate(EvaluateConfig(run=str(tmp_path / "run"), data=data), NoProgress())
    assert evaluated.baseline == expected
    assert evaluated.to_mapping()["baseline"] == expected.to_mapping()

    def never(*_: object) -> None:
        raise AssertionError("the baseline is computed again")

    monkeypatch.setattr(baseline_module, "try_baseline", never)
    again = trained(data, tmp_path / "run", input={"global_batch_records": 16, "epochs": 2})
    assert again.impressions > 0
    assert again.baseline == expected
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["baseline"] == kept["baseline"]


def test_without_a_baseline_nothing_is_trained_for_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(baseline_module, "try_baseline", None)
    assert trained(data, tmp_path / "run", evaluation={"baseline": False}).baseline is None
    assert "baseline" not in json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert evaluate(EvaluateConfig(run=str(tmp_path / "run"), data=data, baseline=False), NoProgress()).baseline is None
