"""``esmm evaluate``, ``esmm predict`` and ``esmm export``: what a trained model is used for."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.coverage_table import coverage_table
from launcher.terminal.deciles_table import deciles_table
from launcher.terminal.json_line import json_value
from launcher.terminal.metrics_table import metrics_table
from launcher.terminal.segments_table import segments_tables

if TYPE_CHECKING:
    from esmm_dist.inference.evaluate import EvaluateConfig
    from esmm_dist.inference.export import ExportConfig
    from esmm_dist.inference.predict import PredictConfig


def evaluate_command(settings: "EvaluateConfig", context: CommandContext) -> Outcome:
    """Measure a trained model on one split."""
    from esmm_dist.inference.evaluate import evaluate

    found = evaluate(settings, context.progress)
    lines = [
        *metrics_table(found.tasks, found.baseline, calibration_errors=True),
        "ECE: mean distance of predictions and labels over deciles; of noise: about what right predictions have",
        *(deciles_table(found.deciles) if settings.deciles else []),
        *segments_tables(found.segments),
        "",
        *coverage_table(found.fields),
        "empty: impressions without an id in the log; unknown: without one that the model has learned (in train: kept)",
        *(f"Warning: {line}" for line in found.warnings),
    ]
    return Outcome(lines=lines, result=json_value(found.to_mapping()))


def predict_command(settings: "PredictConfig", context: CommandContext) -> Outcome:
    """Write a model's predictions for one split, or for a raw log."""
    if settings.raw is not None:
        return _predict_raw(settings, context)
    from esmm_dist.inference.predict import predict

    result = predict(settings, context.progress)
    return Outcome(lines=result.lines(), result=json_value(result))


def _predict_raw(settings: "PredictConfig", context: CommandContext) -> Outcome:
    from esmm_dist.process.quiet import import_tensorflow

    import_tensorflow()  # before what imports it with all its warnings
    from esmm_dist.raw_scoring.score_raw import score_raw

    result = score_raw(settings, context.progress)
    return Outcome(lines=result.lines(), result=json_value(result))


def export_command(settings: "ExportConfig", context: CommandContext) -> Outcome:
    """Write a model as a TensorFlow SavedModel."""
    from esmm_dist.inference.export import export

    result = export(settings, context.progress)
    return Outcome(lines=result.lines(), result=json_value(result))
