"""Two served models of the tiny data set, compared by their names and, bit for bit, by their answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from tests.support.tiny_dataset import HISTORY, ITEMS, TAGS, USERS


def request_of_all_ids() -> GroupedBatch:
    """Return a request of all ids that there are, and of some that are unknown."""
    users, per_user = 25, 16
    impressions = users * per_user
    history = np.arange(users * 2) % 33
    return GroupedBatch(
        user_ids=np.column_stack([USERS + np.arange(users), HISTORY + history.reshape(-1, 2)]).ravel(),
        user_lengths=np.tile([1, 2], users),
        user_weights=np.tile(np.array([1, 2, 0.5], np.float32), users),
        impression_ids=np.column_stack(
            [ITEMS + np.arange(impressions) % 14, TAGS + np.arange(impressions) % 9]
        ).ravel(),
        impression_lengths=np.ones(impressions * 2, np.int64),
        impression_weights=None,
        impressions_per_group=np.full(users, per_user),
        sample_ids=np.arange(impressions),
        labels=np.zeros((impressions, 2), np.int64),
    )


def assert_equal_served_models(version: Sequence[Path], expected: Path) -> None:
    """Compare a version, a full one and its deltas, with a full export."""
    found, other = ServedScorer.open(list(version)), ServedScorer.open([expected])
    assert found.model.manifest.model_id == other.model.manifest.model_id
    answers, expected_answers = (each.score(request_of_all_ids()) for each in (found, other))
    for name, values in expected_answers.items():
        np.testing.assert_array_equal(answers[name], values)
    assert len(np.unique(expected_answers["pctr"])) > 50  # ids make a difference
