"""Decide which impressions the events of each label make positive, for the rows of a partition.

An event of a label finds the impressions with its key. Each has an *anchor*: the time of the impression or, where the
label has ``after``, that of the first event that gave the impression the label before; impressions without one have no
anchor. Those whose anchor is at most the window before the event are within its reach::

    time      ──────────────────────────────────────────▶
    anchors      a       b            c        d
    event                                  e                 reach of e: b, c    (d is later, a beyond the window)
                       ◀───── window ──────┤                 last: c; first: b; every: b and c

The first of several events that reach an impression counts, and gives the label its time; an event that is first for
no impression is repeated. Equal times are in the order of the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from esmm_dist.arrays import I64, U8, U64, Bools
from esmm_dist.schema.event_source import Touch

NEVER = np.iinfo(np.int64).max
"""Time of a label that an impression has not."""


class EventFate(IntEnum):
    """What becomes of an event."""

    JOINED = 0
    WITHOUT_IMPRESSION = 1
    WITHOUT_LABEL_BEFORE = 2
    BEFORE_IMPRESSION = 3
    BEYOND_WINDOW = 4
    REPEATED = 5


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the events of one label are attributed."""

    label: str
    window_us: int
    after: str | None
    touch: Touch


@dataclass(frozen=True, kw_only=True)
class Rows:
    """N rows of one stream in a partition, in the order of key, time, and place in the log."""

    key: I64
    """Numbers of the keys, the same in all streams: int64 [N], ascending."""
    time: I64
    """Microseconds since 1970: int64 [N], ascending within a key."""


@dataclass(frozen=True, kw_only=True)
class LabelTimes:
    """What the events of one label do."""

    time: I64
    """Time at which each impression gets the label, or ``NEVER``: int64 [impressions]."""
    fates: U8
    """``EventFate`` of each event: uint8 [events]."""


def attribute(impressions: Rows, events: Mapping[str, Rows], rules: Sequence[Rule]) -> dict[str, LabelTimes]:
    """Return what the events of each label do.

    Args:
        impressions: impressions, without repeats
        events: events of each label
        rules: rules of the labels, each after the label that it names
    """
    found: dict[str, LabelTimes] = {}
    for rule in rules:
        anchor = impressions.time if rule.after is None else found[rule.after].time
        found[rule.label] = _attribute(impressions, anchor, events[rule.label], rule)
    return found


def _attribute(impressions: Rows, anchor: I64, events: Rows, rule: Rule) -> LabelTimes:
    label_time = np.full(len(anchor), NEVER, np.int64)
    fates = np.zeros(len(events.key), np.uint8)
    at = np.flatnonzero(anchor != NEVER)
    at = at[np.lexsort((anchor[at], impressions.key[at]))]  # stable: equal anchors keep the order of the impressions
    anchors = _Ordered.of(impressions.key[at], anchor[at], events.time)
    # Anchors of the event's key are [begin, end); those up to its time end at `upper`, its reach begins at `lower`
    begin, end = anchors.of_keys(events.key)
    upper = anchors.after(events.key, events.time)
    lower = anchors.from_(events.key, events.time - rule.window_us)
    shown = np.searchsorted(impressions.key, events.key, side="right") > np.searchsorted(impressions.key, events.key)
    reaches = (upper > begin) & (lower < upper)
    fates[upper > begin] = EventFate.BEYOND_WINDOW
    fates[(end > begin) & (upper == begin)] = EventFate.BEFORE_IMPRESSION
    fates[end == begin] = EventFate.WITHOUT_LABEL_BEFORE
    fates[~shown] = EventFate.WITHOUT_IMPRESSION
    fates[reaches] = EventFate.REPEATED
    first: I64
    if rule.touch == "every":
        first = _earliest(anchors, events, rule.window_us)
        positive = first >= 0
        label_time[at[positive]] = events.time[first[positive]]
        fates[first[positive]] = EventFate.JOINED
    else:
        reaching = np.flatnonzero(reaches)
        reached = (upper - 1 if rule.touch == "last" else lower)[reaching]
        # Events of a key are in the order of time, and an anchor belongs to one key: the first of each is the earliest
        targets, first = np.unique(reached, return_index=True)
        label_time[at[targets]] = events.time[reaching[first]]
        fates[reaching[first]] = EventFate.JOINED
    return LabelTimes(time=label_time, fates=fates)


def _earliest(anchors: "_Ordered", events: Rows, window_us: int) -> I64:
    """Return for each anchor the first event of its key within the window behind it, or -1: int64 [anchors]."""
    if not len(events.key):
        return np.full(len(anchors.key), -1, np.int64)
    ordered = _Ordered.of(events.key, events.time, anchors.time)
    first = ordered.from_(anchors.key, anchors.time)
    _, end = ordered.of_keys(anchors.key)
    there = first < end
    within = there & (events.time[np.where(there, first, 0)] - anchors.time <= window_us)
    return np.where(within, first, -1)


@dataclass(frozen=True, kw_only=True)
class _Ordered:
    """Times in the order of keys, and of times within a key, to be searched for many (key, time) at once.

    Times are replaced by their ranks, so that a key and a time are one integer: at most 2^62 for 2^31 of each.
    """

    key: I64
    time: I64
    ranks: I64
    """The distinct times of both sides of the search, ascending: int64 [R]."""
    joined: I64
    """Key and rank of time as one number: int64 [N], ascending."""

    @classmethod
    def of(cls, key: I64, time: I64, others: I64) -> "_Ordered":
        """Prepare a search.

        Args:
            key: int64 [N], ascending
            time: int64 [N], ascending within a key
            others: times that are looked for
        """
        ranks = np.unique(np.concatenate((time, others)))
        joined = key * (len(ranks) + 1) + np.searchsorted(ranks, time)
        return cls(key=key, time=time, ranks=ranks, joined=joined)

    def of_keys(self, key: I64) -> tuple[I64, I64]:
        """Return where the times of each key begin and end."""
        size = len(self.ranks) + 1
        return np.searchsorted(self.joined, key * size), np.searchsorted(self.joined, (key + 1) * size)

    def after(self, key: I64, time: I64) -> I64:
        """Return where the times of each key that are at most ``time`` end."""
        rank = np.searchsorted(self.ranks, time, side="right")
        return np.searchsorted(self.joined, key * (len(self.ranks) + 1) + rank)

    def from_(self, key: I64, time: I64) -> I64:
        """Return where the times of each key that are at least ``time`` begin."""
        rank = np.searchsorted(self.ranks, time)
        return np.searchsorted(self.joined, key * (len(self.ranks) + 1) + rank)


def repeats(key: I64, name: U64 | None, *, is_by_id: bool) -> Bools:
    """Return which impressions repeat an earlier one: bool [N].

    Args:
        key: numbers of the keys of impressions in the order of ``Rows``, int64 [N]
        name: hashes of their sample ids, uint64 [N]; None: they have none
        is_by_id: whether a key names one impression
    """
    again = np.zeros(len(key), np.bool_)
    if is_by_id:
        again[1:] = key[1:] == key[:-1]
    elif name is not None:
        order = np.lexsort((name, key))
        same = (key[order[1:]] == key[order[:-1]]) & (name[order[1:]] == name[order[:-1]])
        again[order[1:][same]] = True  # lexsort is stable, so that the first of equal ones is the earliest
    return again


def open_labels(impressions: Rows, found: Mapping[str, LabelTimes], rules: Sequence[Rule], end_us: int) -> U8:
    """Return which labels can still change, as events later than the log may come: uint8 0/1 [N, K].

    A label that an impression has cannot. One that needs another label (``after``) can while that one can, or until its
    window behind that label's event is over.

    Args:
        impressions: N impressions
        found: what ``attribute`` returned
        rules: rules of the K labels
        end_us: the end of the log
    """
    columns: dict[str, Bools] = {}
    for rule in rules:
        before = impressions.time if rule.after is None else found[rule.after].time
        not_over = (before != NEVER) & (before > end_us - rule.window_us)
        if rule.after is not None:
            not_over |= columns[rule.after]
        columns[rule.label] = not_over & (found[rule.label].time == NEVER)
    return np.stack([columns[rule.label] for rule in rules], axis=1).astype(np.uint8)


def longest_window_us(rules: Sequence[Rule]) -> int:
    """Return how long after an impression its last label can come at most: windows of ``after`` follow each other."""
    longest: dict[str, int] = {}
    for rule in rules:
        longest[rule.label] = rule.window_us + (longest[rule.after] if rule.after is not None else 0)
    return max(longest.values())
