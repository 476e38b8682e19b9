"""Choose what the settings of a training leave open about its evaluation: split, calibration, early stopping."""

from dataclasses import replace
from typing import Any

from esmm_dist.calibration.curves import CalibrationMethod
from esmm_dist.checkpoint.early_stopping import FIGURES
from esmm_dist.errors import ConfigError
from esmm_dist.input.defaults import BatchPlan
from esmm_dist.input.order import steps_in_epoch
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.train.config import EvaluationConfig, TrainConfig

VALIDATION = "validation"
"""The split that settings are chosen by and calibrations are fitted on."""

_EVERY_STEPS = 2000
_EVALUATIONS_A_PASS = 10


def choose_evaluation(
    config: TrainConfig, manifest: DatasetManifest, plan: BatchPlan
) -> tuple[EvaluationConfig, dict[str, str]]:
    """Return the settings of the evaluation without anything open, and for each that is worth a word why it is so.

    Args:
        config: settings that are given stay
        manifest: manifest of the data set
        plan: batches of the training

    Raises:
        ConfigError: The settings do not fit the data set.
    """
    given = config.evaluation
    split = manifest.split_to_evaluate(given.eval_split)
    config = replace(config, evaluation=replace(given, eval_split=split))
    chosen: dict[str, Any] = {"eval_split": split, "calibrate": _calibration_method(config, manifest)}
    reasons = {}
    if given.eval_split is None and split == VALIDATION:
        reasons["eval_split"] = "the data set has one, so that test is not looked at while settings are chosen"
    if given.calibrate is None and chosen["calibrate"] != "none":
        reasons["calibrate"] = "on the validation split"
    if given.eval_every_steps is None:
        chosen["eval_every_steps"] = _EVERY_STEPS
    if given.early_stopping:
        chosen["early_stopping_metric"] = _metric(config, manifest)
        if not given.eval_every_steps:
            a_pass = steps_in_epoch(manifest, "train", plan.global_batch_records)
            chosen["eval_every_steps"] = max(1, min(_EVERY_STEPS, a_pass // _EVALUATIONS_A_PASS))
            reasons["eval_every_steps"] = f"early stopping needs evaluations; a pass has {a_pass:,} steps"
        if given.early_stopping_metric is None:
            reasons["early_stopping_metric"] = f"on the whole of {split}"
    return replace(given, **chosen), reasons


def _metric(config: TrainConfig, manifest: DatasetManifest) -> str:
    """Return what early stopping goes by.

    Raises:
        ConfigError: The data set has no such task, or not the split.
    """
    evaluation, tasks = config.evaluation, manifest.schema.label_tree.task_names
    if evaluation.eval_split not in manifest.splits:
        raise ConfigError(
            f"early_stopping is {evaluation.early_stopping}, and {config.data} has no split "
            f"'{evaluation.eval_split}' to evaluate on. Make the data set with a validation split (esmm preprocess "
            "--validation-share 0.1), or leave early_stopping out."
        )
    metric = evaluation.early_stopping_metric or f"{tasks[-1]}.auc"
    known = [f"{task}.{figure}" for task in tasks for figure in FIGURES]
    if metric not in known:
        raise ConfigError(
            f"early_stopping_metric is '{metric}', but {config.data} has no such task.{nearest_hint(metric, known)}"
        )
    return metric


def _calibration_method(config: TrainConfig, manifest: DatasetManifest) -> CalibrationMethod:
    """Return how probabilities are calibrated.

    Raises:
        ConfigError: A method is given, and there is no validation split, or another one is evaluated.
    """
    method, split = config.evaluation.calibrate, config.evaluation.eval_split
    has_split = VALIDATION in manifest.splits
    if method is None:
        return "platt" if has_split and split == VALIDATION else "none"
    if method != "none" and not has_split:
        raise ConfigError(
            f"calibrate is {method}, and {config.data} has no validation split to fit it on. Make the data set with "
            "one (esmm preprocess --validation-share 0.1), or leave calibrate out."
        )
    if method != "none" and split != VALIDATION:
        raise ConfigError(
            f"calibrate is {method}, which is fitted on the validation split, and eval_split is {split}. Set "
            "eval_split to validation, or calibrate to none."
        )
    return method
