"""How a training ended, in lines for people."""

from typing import Any

import pytest

from esmm_dist.input.skipped import SkippedShard
from esmm_dist.train.result import TrainResult


def result(**changes: Any) -> TrainResult:
    values: dict[str, Any] = {
        "run": "RUN",
        "step": 1200,
        "total_steps": 1200,
        "impressions": 50_000,
        "seconds": 4.0,
        "rows": 9000,
        "stopped_by": None,
        "metrics": {},
    }
    return TrainResult(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            ["Trained 50,000 impressions in 4.0 s (12,500 a second), up to step 1,200 of 1,200; 9,000 embedding rows."],
        ),
        (
            {"stopped_by": "SIGTERM", "step": 7},
            [
                "Stopped by SIGTERM at step 7 of 1,200; 9,000 embedding rows. All is saved.",
                "Resume with: esmm train --run RUN",
            ],
        ),
        (
            {"impressions": 0, "seconds": 0.0},
            ["Nothing left to do: RUN is complete (step 1,200 of 1,200; 9,000 embedding rows)."],
        ),
        (
            # Stopped before its first step: that is said, and not that there is nothing to do
            {"stopped_by": "SIGINT", "step": 0, "impressions": 0, "seconds": 0.0, "rows": 0},
            [
                "Stopped by SIGINT at step 0 of 1,200; 0 embedding rows. All is saved.",
                "Resume with: esmm train --run RUN",
            ],
        ),
    ],
)
def test_the_report_says_how_far_it_came_and_what_to_do(changes, lines):
    assert result(**changes).lines() == lines


def test_what_was_skipped_stands_behind_the_end():
    shard = SkippedShard(path="train/lane-003", records=2, impressions=5, reason="is missing")
    lines = result(skipped=(shard,)).lines()
    assert len(lines) > 1
    assert any("train/lane-003" in line for line in lines[1:])


def test_speed_without_a_step_is_zero_and_not_an_error():
    assert result(impressions=0, seconds=0.0).impressions_per_second == 0.0
    assert result().impressions_per_second == 12_500
