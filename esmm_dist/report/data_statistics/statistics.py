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
    """For each label after the first, impressions where it is 1 and a label on the way to it is 0. Empty: not known."""
    left_out_negatives: int = 0
    """Impressions whose first label is 0 that preprocess left out (``keep_negatives``): with them the rates are those
    of the log."""
    weight: float | None = None
    """Sum of the sample weights; None: the log has none."""
    label_weights: Mapping[str, float] = field(default_factory=dict)
    """As ``labels``, of sample weights; empty where the log has none."""


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
    not_kept: Mapping[str, int] = field(default_factory=dict)
    """By split, impressions in buckets that ``--min-count`` dropped; a data set does not say in which."""


@dataclass(frozen=True, kw_only=True)
class FieldInSplit:
    """One field in one split; (estimated) ids and occurrences are those that records hold."""

    distinct_ids: int
    occurrences: int
    """Impressions that hold each id, added up over the ids: an id that stands twice in a list counts once."""
    covered: int
    """Impressions with a value: at least one id that does not stand for a missing value."""
    ids_an_impression: CountHistogram
    """Over all impressions; of a user's field each impression counts."""
    unseen_ids: int | None
    """Distinct ids that do not occur in train; None: of train itself, or there is no train split."""
    unseen_occurrences: int | None
    """Their occurrences."""
    psi: float | None
    """Population stability index against train, see ``drift``; None likewise."""
    psi_noise: float | None = None
    """What ``psi`` would be on average without any drift, from the number of impressions (or users) alone; None: these
    are too few to tell."""
    not_kept: int | None = None
    """Impressions whose ids were all dropped by preprocess, as rare or unseen in train; they are not in ``covered``.
    None: not known."""
    dropped_occurrences: int | None = None
    """Ids in lists of the log that preprocess dropped; they are not in ``occurrences``. Of a split beside train these
    are ids that train has not or has too seldom. None: not known."""


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
    """The ids of train; in it are those that ``--min-count`` dropped, where the data set knows their counts."""
    ids_are_estimates: bool
    """Whether distinct ids, unseen ids and the frequency are estimated from a sample of the ids."""
    numeric: NumericDistribution | None = None
    dropped_ids: int | None = None
    """Distinct ids of train that preprocess dropped as too rare; they are in no other number of distinct ids. None: not
    known."""
    min_count: int | None = None
    """The ``--min-count`` of the data set; None: not known, or nothing was dropped yet."""
    ids_of: str | None = None
    """Field whose ids it has. Fields that share ids have one ``frequency`` and ``dropped_ids``, as ``--min-count``
    counts their impressions together, and an id is unseen if train has it in none of them; if all are counted."""
    ids_share: float = 1.0
    """Share of the ids that the estimates are from; 1: all."""


@dataclass(frozen=True, kw_only=True)
class SplitStatistics:
    """One split."""

    funnel: Funnel
    contexts: int | None
    """User contexts (sessions): different lists of ids in the user fields, as records have them. None: not known, since
    the schema has no user fields, or since the records of one context are not all read (``sample_share``)."""
    impressions_a_context: CountHistogram | None
    """None: as ``contexts``."""
    contexts_a_user: CountHistogram | None
    """Contexts of one id of the user's one-hot field; None: the schema has no such field, or as ``contexts``."""
    contexts_are_estimates: bool = False
    """Whether these are estimated from a sample of the users."""


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
    """By split, by day (2024-01-31) in order; a split without times is not there, nor an impression without one. Of a
    share of a data set they are those of all of it, times the share."""
    sample_share: float
    """Share of the records (of a raw log: of the user contexts) that was read, chosen by a hash; 1: all. All numbers
    are of these, but for what preprocess has reported: ``dropped_ids`` and ``rejected``."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Lines of the raw log that were rejected, by reason."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By reason, impressions that are not in these numbers: negatives left out by preprocess, records skipped,
    impressions of other days."""
    user_field: str | None = None
    """Whose ids ``contexts_a_user`` counts."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan becomes None in JSON."""
        return to_mapping(self)
