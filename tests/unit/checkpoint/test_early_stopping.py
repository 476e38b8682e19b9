"""Which evaluation is the best, and when patience has run out: by lists of evaluations alone."""

from collections.abc import Sequence
from typing import Any

import pytest

from esmm_dist.checkpoint.early_stopping import EarlyStopping

Evaluations = list[dict[str, Any]]


def stopping(patience: int = 2, metric: str = "ctcvr.auc", every_steps: int = 10) -> EarlyStopping:
    return EarlyStopping(patience=patience, metric=metric, split="validation", every_steps=every_steps)


def evaluations(*values: float | None, figure: str = "auc", every_steps: int = 10, **changes: Any) -> Evaluations:
    """Return an evaluation each period with these values of ctcvr; other tasks have better ones."""
    other = {"auc": 1.0, "gauc": 1.0, "log_loss": 0.0}
    return [
        {
            "step": every_steps * n,
            "split": "validation",
            "whole_split": True,
            "metrics": {"ctr": other, "ctcvr": {**other, figure: value}},
            **changes,
        }
        for n, value in enumerate(values, 1)
    ]


def best_step(values: Evaluations, step: int, **changes: Any) -> int | None:
    found = stopping(**changes).best(values, step)
    return None if found is None else found.step


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("ctcvr.auc", [0.6, 0.7, 0.65], 20),
        ("ctcvr.gauc", [0.6, 0.7, 0.65], 20),
        ("ctcvr.log_loss", [0.6, 0.7, 0.55], 30),
        ("ctcvr.auc", [0.6, 0.7, 0.7], 20),  # an equal one is no better
        ("ctcvr.log_loss", [0.6, 0.6, 0.7], 10),
        ("ctcvr.auc", [None, 0.4, None], 20),  # one class only
        ("ctcvr.auc", [None, None], None),
        ("cvr.auc", [0.6, 0.7], None),  # no such task
        ("ctcvr.auc", [], None),
    ],
)
def test_the_best_is_the_first_of_the_highest_or_lowest(metric: str, values: Sequence[float | None], expected: int):
    found = evaluations(*values, figure=metric.partition(".")[2])
    assert best_step(found, 30, metric=metric) == expected


def test_what_is_best_comes_with_its_value_metric_and_split():
    best = stopping().best(evaluations(0.6, 0.71239), 20)
    assert best is not None
    assert (best.step, best.value, best.metric, best.split) == (20, 0.71239, "ctcvr.auc", "validation")
    assert str(best) == "step 20 is the best by ctcvr.auc on validation (0.7124)"


@pytest.mark.parametrize("change", [{"split": "test"}, {"whole_split": False}, {"step": 15}, {"metrics": {}}], ids=str)
def test_evaluations_of_something_else_do_not_count(change: dict[str, Any]):
    found = evaluations(0.6, 0.9, 0.7)
    found[1] |= change
    assert best_step(found, 30) == 30
    assert not stopping(patience=1).is_over(found, 30)


def test_later_evaluations_do_not_count_as_after_a_rollback():
    found = evaluations(0.6, 0.5, 0.7)
    assert [best_step(found, step) for step in (9, 10, 20, 29, 30)] == [None, 10, 10, 10, 30]
    assert stopping(patience=1).is_over(found, 20)


def test_the_end_of_a_piece_counts_while_it_is_the_end_and_ends_nothing():
    found = [*evaluations(0.6), *evaluations(0.9, every_steps=13)]
    assert [best_step(found, step) for step in (10, 13, 14)] == [10, 13, 10]
    worse = [*evaluations(0.6), *evaluations(0.5, every_steps=13)]
    assert not stopping(patience=1).is_over(worse, 13)


@pytest.mark.parametrize(
    ("patience", "values", "over_at"),
    [
        (1, [0.6, 0.7, 0.65, 0.8], 30),
        (2, [0.6, 0.7, 0.65, 0.8, 0.7, 0.7], 60),
        (2, [0.7, 0.7, 0.7], 30),
        (3, [0.6, 0.5, 0.5], None),
        (1, [None, None, None], None),  # without a best one there is nothing to wait for
        (1, [0.6, None, 0.5], 30),  # an evaluation without a value is none
    ],
)
def test_patience_counts_evaluations_after_the_best_one(
    patience: int, values: Sequence[float | None], over_at: int | None
):
    found = evaluations(*values)
    over = [step for step in range(1, 10 * len(values) + 1) if stopping(patience).is_over(found[: step // 10], step)]
    assert over[:1] == ([] if over_at is None else [over_at])
    if over_at is not None:
        assert len(stopping(patience).later_values(found, over_at)) == patience


def test_settings_of_a_run_say_it_all_and_older_ones_have_none():
    evaluation = {
        "early_stopping": 2,
        "early_stopping_metric": "ctcvr.auc",
        "eval_split": "validation",
        "eval_every_steps": 10,
    }
    assert EarlyStopping.of_settings({"evaluation": evaluation}) == stopping()
    for none in ({}, {"evaluation": {}}, {"evaluation": {**evaluation, "early_stopping": 0}}, {"evaluation": None}):
        assert EarlyStopping.of_settings(none) is None
