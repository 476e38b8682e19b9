"""The numbers that ``esmm stats`` shows, as plain values.

They are exact, or say that they are an estimate: what needs every distinct id of a field in memory (distinct ids, the
frequency curve, ids unseen in train) is counted on a sample of the ids, chosen by their hash, once a field has more
than ``StatsConfig.most_ids``. Such a sample is the same in every split, and all occurrences of a chosen id are counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esmm_dist.config import to_mapping


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """Impressions and labels of a split, of a day of it, or of both."""

    impressions: int
    labels: Mapping[str, int]
    """For each label, in their order, impressions where it is 1 and so is each label on the way to it."""
    broken: Mapping[str, int] = field(default_factory=dict)
    """For each label after the first, impressions where it is 1 and a label on the way to it is 0."""


@dataclass(frozen=True, kw_only=True)
class CountHistogram:
    """How many things have which count: list lengths, impressions a user context, sessions a user."""

    counts: Sequence[int]
    """Ascending; each count up to 100 apart, larger ones by the lower end of a bin."""
    things: Sequence[int]
    """Things with each count."""
    total: int
    """Things."""
    mean: float
    p99: int
    """Least count that 99% of the things do not exceed."""


@dataclass(frozen=True, kw_only=True)
class IdFrequency:
    """What each ``--min-count`` keeps of a field's ids, by train impressions that hold an id."""

    min_counts: Sequence[int]
    """1, 2, 3, 5, 10, 20, 50, 100, ..."""
    ids: Sequence[int]
    """Distinct ids that occur at least so often."""
    occurrences: Sequence[int]
    """Their occurrences."""


@dataclass(frozen=True, kw_only=True)
class NumericDistribution:
    """Impressions by bucket of a numeric field; what is not a number is in ``missing``."""

    edges: Sequence[float]
    """Between the buckets, ascending: E."""
    impressions: Mapping[str, Sequence[int]]
    """By split, E + 1 of them."""
    missing: Mapping[str, int]
    """By split, impressions without a value."""


@dataclass(frozen=True, kw_only=True)
class FieldInSplit:
    """One field in one split."""

    distinct_ids: int
    occurrences: int
    """Ids, counted in every impression that holds them."""
    covered: int
    """Impressions with at least one id."""
    ids_an_impression: CountHistogram
    """Over all impressions; of a user's field each impression counts."""
    unseen_ids: int | None
    """Distinct ids that do not occur in train; None: of train itself, or there is no train split."""
    unseen_occurrences: int | None
    psi: float | None
    """Population stability index against train, see ``drift``; None likewise."""


@dataclass(frozen=True, kw_only=True)
class FieldStatistics:
    """One field."""

    name: str
    alias: str
    owner: str
    kind: str
    """``one-hot``, ``multi-hot``, ``weighted multi-hot``, ``numeric``, ``time``, ``cross``."""
    splits: Mapping[str, FieldInSplit]
    frequency: IdFrequency
    """In the train split."""
    ids_are_estimates: bool
    """Whether distinct ids, unseen ids and the frequency are estimated from a sample of the ids."""
    numeric: NumericDistribution | None = None


@dataclass(frozen=True, kw_only=True)
class SplitStatistics:
    """One split."""

    funnel: Funnel
    contexts: int
    """User contexts (sessions)."""
    impressions_a_context: CountHistogram
    contexts_a_user: CountHistogram | None
    """Contexts of one id of the user's one-hot field; None: the schema has no such field."""


@dataclass(frozen=True, kw_only=True)
class DataStatistics:
    """A data set or a raw log in numbers."""

    source: str
    """The folder or file."""
    source_kind: str
    """``data set`` or ``raw log``."""
    schema: str
    label_names: Sequence[str]
    label_parents: Sequence[int]
    """For each label, the place of the one on the way to it; -1 for the first."""
    splits: Mapping[str, SplitStatistics]
    fields: Sequence[FieldStatistics]
    days: Mapping[str, Mapping[str, Funnel]]
    """By split, by day (2024-01-31) in order; a split without times is not there."""
    sample_share: float
    """Share of the user contexts that was read, chosen by a hash; 1: all."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Lines of a raw log that were rejected, by reason."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By reason, impressions that are not in these numbers: negatives left out by preprocess, records skipped."""
    user_field: str | None = None
    """Whose ids ``contexts_a_user`` counts."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan becomes None in JSON."""
        return to_mapping(self)
