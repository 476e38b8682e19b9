"""What is said of a study: a line for each trial, and the report at the end."""

import math
import shlex
from collections.abc import Mapping
from typing import Any

from esmm_dist.text_table import text_table
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import duration
from launcher.tune.config import TuneConfig
from launcher.tune.space import label
from launcher.tune.study import Study, newest_report, result_of
from launcher.tune.study_data import StudyData
from launcher.tune.study_folder import StudyFolder

MOST_SHOWN = 5
"""Trials in the table of the best."""


def trial_text(trial: Any, study: Study, settings: TuneConfig) -> str:
    """Return a line about a trial that is complete or pruned."""
    said = ", ".join(f"{path} {value}" for path, value in shown_values(trial, study).items())
    seconds = duration(result_of(trial)["seconds"])
    if trial.state.name == "PRUNED":
        reports = trial.intermediate_values
        at = f" at evaluation {max(reports)} with {newest_report(trial):.4f}" if reports else ""
        return f"Trial {trial.number}: pruned{at}, after {seconds} ({said})"
    best = study.best
    is_best = " (best so far)" if best is not None and best.number == trial.number else ""
    return f"Trial {trial.number}: {settings.objective} {trial.value:.4f}{is_best}, {seconds} ({said})"


def shown_values(trial: Any, study: Study) -> dict[str, str]:
    """Return the value of each searched setting, as a reader wants it: floats with three digits."""
    return {
        path: f"{value:.3g}" if isinstance(value, float) else label(value)
        for path, value in study.values(trial).items()
    }


def train_line(folder: StudyFolder, data: StudyData) -> str:
    """Return the line that trains with the best settings."""
    return shlex.join(
        ["esmm", "train", "--config", str(folder.best), "--data", str(data.folder), "--run", str(folder.best_run)]
    )


def evaluate_line(folder: StudyFolder, data: StudyData) -> str:
    """Return the line that measures that run on the test split."""
    return shlex.join(
        ["esmm", "evaluate", "--run", str(folder.best_run), "--data", str(data.folder), "--split", "test"]
    )


def best_comments(best: Any, settings: TuneConfig, data: StudyData, folder: StudyFolder) -> list[str]:
    """Return what stands above the settings of the best trial."""
    return [
        f"Settings of trial {best.number}, the best so far of esmm tune: {settings.objective} {best.value:.6f} on "
        f"{data.split}.",
        train_line(folder, data),
    ]


def best_trials(study: Study) -> list[Any]:
    """Return the complete trials, best first; of equals the earlier one."""
    complete = [each for each in study.trials if each.state.name == "COMPLETE"]
    sign = -1.0 if study.optuna_study.direction.name == "MAXIMIZE" else 1.0
    return sorted(complete, key=lambda each: sign * each.value)


def report_lines(study: Study, settings: TuneConfig, data: StudyData, folder: StudyFolder) -> list[str]:
    """Return the report of a study that has a complete trial."""
    best = study.best
    assert best is not None
    pruned, failed = study.count("PRUNED"), study.count("FAIL")
    paths = [each.path for each in settings.space.searched]
    metrics = result_of(best).get("metrics", {}).get(str(settings.first_seed), {})
    error = settings.parsed_objective.standard_error(metrics)
    luck = "" if math.isnan(error) else f" (standard error {error:.4f})"
    rows = [
        [
            str(each.number),
            f"{each.value:.4f}",
            duration(result_of(each)["seconds"]),
            *(shown_values(each, study)[path] for path in paths),
        ]
        for each in best_trials(study)[:MOST_SHOWN]
    ]
    return [
        f"{len(study.finished)} trials: {study.count('COMPLETE')} complete, {pruned} pruned, {failed} failed. The "
        f"best, by {settings.objective} on {data.split}{luck}:",
        *text_table(["trial", settings.objective, "time", *(path.rpartition(".")[2] for path in paths)], rows),
        f"Pictures: {folder.report}",
        "Train with the settings of the best trial, then measure it on impressions that chose nothing:",
        f"  {train_line(folder, data)}",
        f"  {evaluate_line(folder, data)}",
    ]


def report_result(study: Study, settings: TuneConfig, data: StudyData, folder: StudyFolder) -> Mapping[str, Any]:
    """Return the same for a program."""
    best = study.best
    assert best is not None
    result: Mapping[str, Any] = json_value(
        {
            "study": folder.path,
            "objective": settings.objective,
            "direction": settings.parsed_objective.direction,
            "split": data.split,
            "trials": {
                "complete": study.count("COMPLETE"),
                "pruned": study.count("PRUNED"),
                "failed": study.count("FAIL"),
            },
            "best": _trial_result(best, study),
            "best_run": folder.run(best.number, settings.first_seed),
            "config": folder.best,
            "report": folder.report,
            "train": train_line(folder, data),
            "evaluate": evaluate_line(folder, data),
            "all": [_trial_result(each, study) for each in study.finished],
        }
    )
    return result


def _trial_result(trial: Any, study: Study) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        "settings": study.values(trial),
        **result_of(trial),
    }
