"""Statistics of data sets that nobody has: of any number of fields, labels, splits and days."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from esmm_dist.report.data_statistics.field_results import id_frequency
from esmm_dist.report.data_statistics.histogram import count_histogram
from esmm_dist.report.data_statistics.statistics import (
    CountHistogram,
    DataStatistics,
    FieldInSplit,
    FieldStatistics,
    Funnel,
    IdFrequency,
    NumericDistribution,
    SplitStatistics,
)

_KINDS = ("one-hot", "multi-hot", "weighted multi-hot", "numeric", "time", "cross")
_OWNERS = ("user", "item", "context")
_NO_FREQUENCY = IdFrequency(min_counts=[], ids=[], occurrences=[])


def funnel(impressions: int, rates: Sequence[float], parents: Sequence[int]) -> Funnel:
    """Return a funnel whose labels ``label-0``, ... have rates given the label on the way to them."""
    labels: dict[str, int] = {}
    for place, (rate, parent) in enumerate(zip(rates, parents, strict=True)):
        of = impressions if parent < 0 else labels[f"label-{parent}"]
        labels[f"label-{place}"] = round(rate * of)
    return Funnel(impressions=impressions, labels=labels, broken={f"label-{i}": 0 for i in range(1, len(rates))})


def histogram(counts: Sequence[int]) -> CountHistogram:
    """Return the histogram of counts, one a thing."""
    return count_histogram(np.asarray(counts, np.int64), np.ones(len(counts)))


def field(
    name: str,
    impressions: dict[str, int],
    *,
    kind: str = "one-hot",
    owner: str = "user",
    seed: int = 0,
    coverage: float = 0.9,
) -> FieldStatistics:
    """Return a field of some splits, whose ids occur as Zipf says."""
    random = np.random.default_rng(seed)
    ids = int(random.integers(3, 20_000))
    counts = np.maximum((1e5 / np.arange(1, ids + 1)).astype(np.int64), 1)
    splits = {}
    for split, number in impressions.items():
        lengths = random.poisson(8, 400) if "multi" in kind else (random.random(400) < coverage).astype(np.int64)
        later = split != "train" and "train" in impressions
        splits[split] = FieldInSplit(
            distinct_ids=ids,
            occurrences=int(counts.sum()),
            covered=round(coverage * number),
            ids_an_impression=histogram(lengths.tolist()),
            unseen_ids=round(0.3 * ids) if later else None,
            unseen_occurrences=round(0.1 * counts.sum()) if later else None,
            psi=float(random.random()) ** 4 if later else None,
            psi_noise=0.002 if later else None,
        )
    numeric = NumericDistribution(
        edges=[0.5, 1.0, 10.0],
        impressions={split: [number // 8] * 4 for split, number in impressions.items()},
        missing={split: number // 2 for split, number in impressions.items()},
    )
    has_train = "train" in impressions
    return FieldStatistics(
        name=name,
        alias=name,
        owner=owner,
        kind=kind,
        splits=splits,
        frequency=id_frequency(counts, np.ones(ids))
        if has_train
        else IdFrequency(min_counts=[], ids=[], occurrences=[]),
        ids_are_estimates=False,
        numeric=numeric if kind == "numeric" else None,
    )


def statistics(
    *,
    splits: Sequence[str] = ("train", "test"),
    labels: int = 2,
    parents: Sequence[int] | None = None,
    fields: int = 6,
    days: int = 0,
    impressions: int = 10_000,
    names: Sequence[str] = (),
) -> DataStatistics:
    """Return the statistics of a made-up log.

    Args:
        splits: names of the splits
        labels: number of labels, each the one before it on its way
        parents: label on the way to each label; None: the one before it
        fields: number of fields, of all kinds
        days: days of each split, one split after the other; 0: the log has no times
        impressions: impressions of each split
        names: names of the first fields; others are ``field-7``
    """
    parents = list(range(-1, labels - 1)) if parents is None else parents
    rates = [0.1 * (1 + i % 5) for i in range(labels)]
    first = date(2024, 1, 29)
    found_days = {}
    for place, split in enumerate(splits if days else ()):
        found_days[split] = {
            str(first + timedelta(days=place * days + day)): funnel(
                impressions // days, [rate * (1 + 0.1 * (day % 3)) for rate in rates], parents
            )
            for day in range(days)
        }
    contexts = np.random.default_rng(1).geometric(0.05, 500).tolist()
    users = np.random.default_rng(2).geometric(0.6, 300).tolist()
    names = [*names, *(f"field-{i}" for i in range(len(names), fields))]
    return DataStatistics(
        source="made/up data",
        source_kind="data set",
        schema="made-up",
        label_names=[f"label-{i}" for i in range(labels)],
        label_parents=parents,
        splits={
            split: SplitStatistics(
                funnel=funnel(impressions, rates, parents),
                contexts=len(contexts),
                impressions_a_context=histogram(contexts),
                contexts_a_user=histogram(users),
            )
            for split in splits
        },
        fields=[
            field(
                name,
                dict.fromkeys(splits, impressions),
                kind=_KINDS[i % len(_KINDS)],
                owner=_OWNERS[i % len(_OWNERS)],
                seed=i,
                coverage=1 - 0.1 * (i % 5),
            )
            for i, name in enumerate(names)
        ],
        days=found_days,
        sample_share=1.0,
        user_field=names[0] if names else None,
    )
