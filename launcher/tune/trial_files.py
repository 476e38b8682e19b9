"""The settings of a trial: what its trainings get, and what ``best.yaml`` holds."""

from collections.abc import Mapping
from typing import Any

from esmm_dist.flat_settings import merge
from launcher.tune.config import TuneConfig
from launcher.tune.study_data import StudyData


def trial_settings(config: TuneConfig, data: StudyData, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``esmm train`` has to be given to repeat a trial.

    Args:
        config: settings of ``esmm tune``
        data: data set of the study
        values: value of each searched setting, by path

    Raises:
        ConfigError: the values are refused, or do not fit the data set
    """
    train = config.space.config(values)
    evaluation: dict[str, Any] = {"eval_split": data.split}
    if not config.sets_eval_every_steps:
        evaluation["eval_every_steps"] = data.eval_every_steps(train, config.evaluations)
    parts = config.parsed_objective.parts
    if train.evaluation.early_stopping and train.evaluation.early_stopping_metric is None and len(parts) == 1:
        evaluation["early_stopping_metric"] = f"{parts[0].task}.{parts[0].figure}"
    return merge(config.space.mapping(values), {"seed": config.first_seed, "evaluation": evaluation})
