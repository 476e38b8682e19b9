"""Permutation importance of a log whose best model is known: it ranks the strong field first, and a void one at 0."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from esmm_dist.arrays import F64
from esmm_dist.inference.scoring import Scorer
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.progress import NoProgress
from esmm_dist.report.importance.config import ImportanceConfig
from esmm_dist.report.importance.field_importance import FieldImportance
from esmm_dist.report.importance.measure import importance_of_fields, most_important_first, permutation
from esmm_dist.report.importance.sample import SplitSample
from esmm_dist.schema.fields import Field, Schema

SCHEMA = Schema(
    name="planted",
    labels=("view", "cart", "purchase"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="void", owner="user"),
        Field(name="item", owner="item", alias="product"),
        Field(name="tags", owner="item", multi_hot=True, weighted=True),
        Field(name="place", owner="context"),
    ),
)
STRENGTH = {"user": 0.5, "void": 0.0, "item": 2.0, "tags": 1.0, "place": 0.25}
CONFIG = ImportanceConfig(run="run", repeats=3)


class KnownModel:
    """Scores by what the log was drawn from: Σ over fields of strength · Σ over the list of weight · effect of the id.

    The same sum is the logit of each label, given the one before it.
    """

    schema = SCHEMA

    def __init__(self) -> None:
        """Begin with no batch scored."""
        self.sizes: list[int] = []

    def pull(self, batch: GroupedBatch) -> Any:
        """Pull nothing."""
        return SimpleNamespace(batch=batch)

    def score(self, pulled: Any) -> F64:
        """Return the logits, float64 [B, 3]."""
        batch: GroupedBatch = pulled.batch
        self.sizes.append(batch.num_impressions)
        of_users = _sums(batch.user_lengths, batch.user_ids, np.ones(len(batch.user_ids)), SCHEMA.user_fields)
        assert batch.impression_weights is not None
        own = _sums(batch.impression_lengths, batch.impression_ids, batch.impression_weights, SCHEMA.impression_fields)
        logits = own + np.repeat(of_users, batch.impressions_per_group)
        return np.repeat(logits[:, None], 3, axis=1)


def _sums(lengths: Any, ids: Any, weights: Any, fields: tuple[Field, ...]) -> F64:
    """Return the sum of each group or impression over its fields."""
    strength = np.tile([STRENGTH[field.name] for field in fields], len(lengths) // len(fields))
    effects = weights * np.where(ids % 2 == 0, 1.0, -1.0)
    sums = np.zeros(len(lengths))
    np.add.at(sums, np.repeat(np.arange(len(lengths)), lengths), effects)
    found: F64 = (sums * strength).reshape(-1, len(fields)).sum(axis=1)
    return found


def planted_log(contexts: int = 700) -> SplitSample:
    """Return user contexts of 1 to 5 impressions whose labels are drawn by ``KnownModel``."""
    random = np.random.default_rng(5)
    per_group = random.integers(1, 6, contexts)
    impressions = int(per_group.sum())
    tags = random.integers(0, 4, impressions)
    lengths = np.stack([np.ones(impressions, np.int64), tags, np.ones(impressions, np.int64)], axis=1).reshape(-1)
    batch = GroupedBatch(
        user_ids=random.integers(0, 50, 2 * contexts),
        user_lengths=np.ones(2 * contexts, np.int64),
        user_weights=None,
        impression_ids=random.integers(0, 50, lengths.sum()),
        impression_lengths=lengths,
        impression_weights=random.choice([0.25, 0.5, 1.0], lengths.sum()).astype(np.float32),
        impressions_per_group=per_group,
        sample_ids=np.arange(impressions),
        labels=np.zeros((impressions, 3), np.int64),
    )
    logits = KnownModel().score(KnownModel().pull(batch))
    drawn = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
    labels = np.cumprod(drawn, axis=1).astype(np.int64)
    whole = GroupedBatch(**{**vars(batch), "labels": labels})
    return SplitSample(batch=whole, contexts=contexts, of_impressions=impressions)


SAMPLE = planted_log()


class Counting(NoProgress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.total: float | None = None
        self.done = 0.0
        self.notes: set[str] = set()

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Keep the total."""
        self.total = total

    def advance(self, amount: float, note: str = "") -> None:
        """Add up."""
        self.done += amount
        self.notes.add(note)


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, float], dict[str, FieldImportance], list[str], Counting]:
    """Return the AUCs, the fields by name, their order, and the progress."""
    progress = Counting()
    auc, fields = importance_of_fields(cast(Scorer, KnownModel()), SAMPLE, SCHEMA.fields, CONFIG, progress)
    return auc, {each.field: each for each in fields}, [each.field for each in fields], progress


def test_fields_rank_as_strong_as_they_were_planted(measured: Any) -> None:
    auc, fields, order, _ = measured
    assert list(auc) == SCHEMA.label_tree.task_names
    assert order == ["product", "tags", "user", "place", "void"]
    for task in ("view", "cart", "purchase"):
        assert fields["product"].auc_drop[task] > 5 * fields["product"].standard_error[task] > 0
        assert fields["tags"].auc_drop[task] > 3 * fields["tags"].standard_error[task] > 0


def test_field_without_effect_loses_nothing(measured: Any) -> None:
    _, fields, _, _ = measured
    assert set(fields["void"].auc_drop.values()) == {0.0}  # the known model does not look at it, to the last bit


def test_field_that_is_looked_at_in_vain_is_within_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRENGTH, "void", 0.2)  # the labels are those of strength 0: the model errs
    _, fields = importance_of_fields(cast(Scorer, KnownModel()), SAMPLE, [SCHEMA.field("void")], CONFIG, NoProgress())
    for task, drop in fields[0].auc_drop.items():
        assert 0 < abs(drop) < 3 * fields[0].standard_error[task]


def test_progress_counts_each_pass(measured: Any) -> None:
    *_, progress = measured
    assert progress.total == progress.done == SAMPLE.batch.num_impressions * (1 + 5 * 3)
    assert progress.notes == {"", "user", "void", "product", "tags", "place"}


def test_permutations_differ_by_field_repeat_and_seed_and_come_again() -> None:
    user, void = SCHEMA.field("user"), SCHEMA.field("void")
    orders = [
        permutation(SAMPLE.batch, SCHEMA, *each).tolist()
        for each in ((user, 1, 0), (void, 1, 0), (user, 1, 1), (user, 2, 0))
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert permutation(SAMPLE.batch, SCHEMA, user, 1, 0).tolist() == orders[0]
    assert sorted(orders[0]) == list(range(700))
    assert len(permutation(SAMPLE.batch, SCHEMA, SCHEMA.field("item"), 1, 0)) == SAMPLE.batch.num_impressions


def test_order_is_that_of_the_last_task_that_is_known() -> None:
    def of(name: str, *drops: float) -> FieldImportance:
        by_task = dict(zip(("a", "b"), drops, strict=True))
        return FieldImportance(
            field=name, owner="user", auc_drop=by_task, standard_error=by_task, log_loss_rise=by_task
        )

    fields = [of("x", 0.1, 0.3), of("y", 0.2, 0.1)]
    assert [each.field for each in most_important_first(fields, ["a", "b"])] == ["x", "y"]
    fields = [of("x", 0.1, math.nan), of("y", 0.2, math.nan)]
    assert [each.field for each in most_important_first(fields, ["a", "b"])] == ["y", "x"]
    fields = [of("x", math.nan, math.nan), of("y", math.nan, math.nan)]
    assert [each.field for each in most_important_first(fields, ["a", "b"])] == ["x", "y"]
