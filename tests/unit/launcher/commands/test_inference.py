"""``esmm evaluate``, ``predict`` and ``export``: their reports."""

from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.inference.baseline import Baseline
from esmm_dist.inference.evaluate import EvaluateConfig, Evaluation
from esmm_dist.inference.export import ExportConfig, ExportResult
from esmm_dist.inference.predict import PredictConfig, PredictResult
from esmm_dist.inference.segments import Segment, SegmentTable
from esmm_dist.inference.tables.coverage_table import coverage_table
from esmm_dist.inference.tables.deciles_table import deciles_table
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.inference.tables.segments_table import segments_tables
from esmm_dist.model.metrics.deciles import Decile
from esmm_dist.model.metrics.segment_sums import SegmentMetrics
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.schema.coverage import FieldCoverage, SplitCoverage
from launcher.commands.inference import evaluate_command, export_command, predict_command
from tests.unit.launcher.commands.played_context import CONTEXT

METRICS = {
    "ctr": TaskMetrics(
        auc=0.7, auc_standard_error=0.01, log_loss=0.5, calibration=1.0, positives=3, impressions=9, gauc=0.6
    )
}
FIELDS = [
    FieldCoverage(
        name="user", alias="user", ids_of=None, distinct_ids=5, kept_ids=4,
        splits={"test": SplitCoverage(impressions=9, empty=0, unknown=3)},
    )
]  # fmt: skip
BASELINE = Baseline(
    auc={"ctr": 0.6}, auc_standard_error={"ctr": 0.01}, train_impressions=5, test_impressions=9,
    of_train_impressions=5, of_test_impressions=9,
)  # fmt: skip
EVALUATE = EvaluateConfig(run="run", data=Path("data"))
DECILES = {
    "ctr": (
        Decile(
            decile=1, impressions=9, weight=9.0, mean_prediction=0.3, mean_label=1 / 3, mean_label_standard_error=0.1,
            calibration=0.9,
        ),
    )
}  # fmt: skip


def evaluation(baseline=None):
    return Evaluation(
        split="test",
        tasks=METRICS,
        fields=FIELDS,
        warnings=["Field 'user' is new."],
        baseline=baseline,
        deciles=DECILES,
    )


@pytest.mark.parametrize("baseline", [BASELINE, None], ids=["with a baseline", "without"])
def test_an_evaluation_shows_metrics_then_how_far_the_ids_are_known_then_warnings(baseline, monkeypatch):
    found = evaluation(baseline)
    monkeypatch.setattr("esmm_dist.inference.evaluate.evaluate", lambda settings, progress: found)
    outcome = evaluate_command(EVALUATE, CONTEXT)
    metrics, coverage = metrics_table(METRICS, baseline, calibration_errors=True), coverage_table(FIELDS)
    assert list(outcome.lines) == [
        *metrics,
        "ECE: mean distance of predictions and labels over deciles; of noise: about what right predictions have",
        "",
        *coverage,
        "empty: impressions without an id in the log; unknown: without one that the model has learned (in train: kept)",
        "Warning: Field 'user' is new.",
    ]
    assert (outcome.result["ctr"]["auc"], outcome.result["ctr"]["calibration_standard_error"]) == (
        0.7,
        None,
    )  # JSON has no nan
    assert outcome.result["fields"]["user"]["kept_ids"] == 4
    assert (outcome.result["baseline"] is None) == (baseline is None)
    assert outcome.result["ctr"]["deciles"][0]["mean_prediction"] == 0.3


def test_segments_are_shown_below_the_metrics(monkeypatch):
    metrics = SegmentMetrics(
        kind="key", key=1, distinct_keys=1, impressions=9, positives=3, auc=0.7, auc_standard_error=0.01, log_loss=0.3,
        calibration=1.0, calibration_standard_error=0.1,
    )  # fmt: skip
    segment = Segment(name="known", id=None, note="", tasks={"ctr": metrics})
    table = SegmentTable(name="users", by_values=False, title="user", segments=(segment,))
    found = replace(evaluation(), segments=[table])
    monkeypatch.setattr("esmm_dist.inference.evaluate.evaluate", lambda settings, progress: found)
    outcome = evaluate_command(EVALUATE, CONTEXT)
    assert list(outcome.lines)[3:7] == [*segments_tables([table]), ""]
    assert outcome.result["segments"]["users"][0]["tasks"]["ctr"]["calibration"] == 1.0


def test_deciles_are_shown_where_they_are_asked_for(monkeypatch):
    monkeypatch.setattr("esmm_dist.inference.evaluate.evaluate", lambda settings, progress: evaluation())
    without, asked = (evaluate_command(each, CONTEXT).lines for each in (EVALUATE, replace(EVALUATE, deciles=True)))
    table = deciles_table(DECILES)
    assert [*without[:3], *table, *without[3:]] == list(asked)


def test_predictions_and_an_export_report_what_they_wrote(monkeypatch):
    predicted = PredictResult(path="p.parquet", impressions=1234, step=700, seconds=2.0)
    monkeypatch.setattr("esmm_dist.inference.predict.predict", lambda settings, progress: predicted)
    outcome = predict_command(PredictConfig(run="r", data=Path("d"), out=Path("p.parquet")), CONTEXT)
    assert (outcome.lines, outcome.result["step"]) == (predicted.lines(), 700)
    exported = ExportResult(path="model", step=700, rows={"user": 5}, folder_bytes=4000, seconds=1.0)
    monkeypatch.setattr("esmm_dist.inference.export.export", lambda settings, progress: exported)
    outcome = export_command(ExportConfig(run="r", out=Path("model")), CONTEXT)
    assert (outcome.lines, outcome.result["rows"]) == (exported.lines(), {"user": 5})
