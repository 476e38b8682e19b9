"""``esmm evaluate``, ``esmm predict`` and ``esmm export``: what a trained model is used for."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.inference.evaluate import EvaluateConfig
    from esmm_dist.inference.export import ExportConfig
    from esmm_dist.inference.predict import PredictConfig


def evaluate_command(settings: "EvaluateConfig", context: CommandContext) -> Outcome:
    """Measure a trained model on one split."""
    from esmm_dist.inference.evaluate import evaluate

    found = evaluate(settings, context.progress)
    return Outcome(lines=found.lines(deciles=settings.deciles), result=json_value(found.to_mapping()))


def predict_command(settings: "PredictConfig", context: CommandContext) -> Outcome:
    """Write a model's predictions for one split, or for a raw log."""
    from esmm_dist.raw_scoring.predict_or_score import predict_or_score_raw

    result = predict_or_score_raw(settings, context.progress)
    return Outcome(lines=result.lines(), result=json_value(result))


def export_command(settings: "ExportConfig", context: CommandContext) -> Outcome:
    """Write a model as a TensorFlow SavedModel."""
    from esmm_dist.inference.export import export

    result = export(settings, context.progress)
    return Outcome(lines=result.lines(), result=json_value(result))
