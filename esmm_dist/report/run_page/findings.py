"""What a reader should take from the course of a run, in sentences and in a few numbers."""

import math
from collections.abc import Mapping, Sequence

from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.last_evaluation import compared_with, shown_evaluation
from esmm_dist.report.run_history.speed_pictures import mean_speed, shares_sentence
from esmm_dist.report.run_history.trend import of_newest_data_set, trend_sentence
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.words import in_words, short_number

_CALIBRATED = 0.02
"""Mean prediction over share of positives that is off by less is called right."""

_LOSSES = ("worker_lost", "worker_stalled", "agent_lost", "server_lost", "driver_lost")


def course_facts(course: RunCourse, scores: RunScores | None = None) -> list[tuple[str, str]]:
    """Return the numbers that stand at the top of a page.

    Args:
        course: course of the run
        scores: scores of its checkpoint, which the AUCs are taken from; None: the last evaluation has them
    """
    facts = [("training steps", f"{course.step:,}")]
    if scores is not None and scores.step != course.step:
        facts.append(("scored checkpoint", f"step {scores.step:,}"))
    split, metrics = _measured(course, scores)
    for task, figures in metrics.items():
        auc, error = figures.get("auc", math.nan), figures.get("auc_standard_error", math.nan)
        if math.isfinite(auc):
            facts.append((f"{task} AUC on {split}", f"{auc:.4f} ± {error:.4f}"))
    if mean_speed(course) > 0:
        facts.append(("impressions a second", short_number(mean_speed(course))))
    if course.checkpoints:
        rows = sum(course.checkpoints[-1].rows.values())
        if rows:
            facts.append(("rows in tables", short_number(rows)))
    return facts


def _measured(course: RunCourse, scores: RunScores | None) -> tuple[str, Mapping[str, Mapping[str, float]]]:
    """Return the split and each task's figures: of the scores, or else of the evaluation that stands for a run."""
    if scores is not None:
        return scores.split, {task: each.metrics for task, each in scores.tasks.items()}
    evaluation = shown_evaluation(course)
    return (evaluation.split, evaluation.metrics) if evaluation is not None else ("", {})


def course_findings(course: RunCourse, scores: RunScores | None = None) -> list[str]:
    """Return sentences, the most important first.

    Args:
        course: course of the run
        scores: scores of its checkpoint, which say whether its probabilities are right; None: the last evaluation does
    """
    found = [*_learned(course), *_calibration(course, scores), shares_sentence(course), *_troubles(course)]
    return [each for each in found if each]


def _learned(course: RunCourse) -> list[str]:
    evaluation = shown_evaluation(course)
    if evaluation is None:
        return []
    found = []
    if len(of_newest_data_set(course)) > 1:
        found.append(trend_sentence(course))
    if course.best_step is not None:
        found.append(f"By {course.best_metric}, step {course.best_step:,} is the best.")
    if course.baseline is not None and course.baseline.split == evaluation.split:
        better, worse, _ = compared_with(evaluation, course.baseline)
        if worse:
            found.append(
                f"Logistic regression is better for {in_words(worse)}: the model has not learned enough there."
            )
        elif better:
            found.append(f"The model is better than logistic regression for {in_words(better)}.")
    return found


def _calibration(course: RunCourse, scores: RunScores | None) -> list[str]:
    """Return what predictions are on average; evaluations in training are of the model before it is calibrated."""
    split, metrics = _measured(course, scores)
    off: list[str] = []
    known = 0
    for task, figures in metrics.items():
        value = figures.get("calibration", math.nan)
        error = figures.get("calibration_standard_error", math.nan)
        if not math.isfinite(value):
            continue
        known += 1
        if abs(value - 1) > max(_CALIBRATED, 1.96 * error if math.isfinite(error) else 0.0):
            off.append(f"{task} {'too high' if value > 1 else 'too low'} by {abs(value - 1):.1%}")
    if scores is None:
        predictions = "As trained, predictions"
    else:
        predictions = "Predictions" if scores.calibrated_by is None else "Calibrated predictions"
    if off:
        return [f"{predictions} on {split} are on average {', '.join(off)}."]
    return [f"{predictions} on {split} are right on average, for every task."] if known else []


def _troubles(course: RunCourse) -> list[str]:
    found = []
    losses = sum(each.event in _LOSSES for each in course.events)
    resumed = sum(each.event == "resume" for each in course.events)
    if losses:
        found.append(f"Workers, servers or drivers were lost {_times(losses)}.")
    if resumed:
        found.append(f"The run was resumed {_times(resumed)}.")
    failed = [each for each in course.events if each.event == "failed"]
    if failed:
        found.append(f"It failed: {str(failed[-1].details.get('error', 'no reason is known'))[:200]}")
    damaged = [each for each in course.checkpoints if each.trouble]
    if damaged:
        found.append(f"{len(damaged)} checkpoint{'s are' if len(damaged) > 1 else ' is'} damaged; see the list.")
    if course.skipped.get("impressions"):
        found.append(f"{course.skipped['impressions']:,} impressions could not be read and were skipped.")
    return found


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def findings_of(courses: Sequence[RunCourse], scores: Sequence[RunScores | None] = ()) -> list[str]:
    """Return the findings of one run, or one of each of several.

    Args:
        courses: courses of the runs
        scores: scores of each run; None, or none at all: it is not scored
    """
    pairs = list(zip(courses, [*scores, *[None] * (len(courses) - len(scores))], strict=True))
    if len(pairs) == 1:
        return course_findings(*pairs[0])
    return [f"{course.label}: {text}" for course, of_run in pairs for text in course_findings(course, of_run)[:2]]
