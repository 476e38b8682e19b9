"""Attribution by touch, against a plain join that compares every event with every impression."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from preprocess.events.attribute import (
    NEVER,
    EventFate,
    Rows,
    Rule,
    attribute,
    longest_window_us,
    open_labels,
    repeats,
)


@dataclass(frozen=True)
class Plain:
    """What the plain join finds."""

    times: list[int | None]
    fates: list[EventFate]


def plain_join(
    impressions: Sequence[tuple[int, int]],
    anchors: Sequence[int | None],
    events: Sequence[tuple[int, int]],
    rule: Rule,
) -> Plain:
    """Join in O(n^2), word for word as the README says it."""
    times: list[int | None] = [None] * len(impressions)
    fates = []
    for key, at in events:  # in the order of their times
        of_key = [i for i, (other, _) in enumerate(impressions) if other == key]
        anchored = [(anchor, i) for i in of_key if (anchor := anchors[i]) is not None]
        earlier = sorted((anchor, i) for anchor, i in anchored if anchor <= at)
        within = [i for anchor, i in earlier if at - anchor <= rule.window_us]
        reached = {"last": within[-1:], "first": within[:1], "every": within}[rule.touch]
        new = [i for i in reached if times[i] is None]
        for i in new:
            times[i] = at
        if not of_key:
            fates.append(EventFate.WITHOUT_IMPRESSION)
        elif not anchored:
            fates.append(EventFate.WITHOUT_LABEL_BEFORE)
        elif not earlier:
            fates.append(EventFate.BEFORE_IMPRESSION)
        elif not within:
            fates.append(EventFate.BEYOND_WINDOW)
        else:
            fates.append(EventFate.JOINED if new else EventFate.REPEATED)
    return Plain(times, fates)


def drawn(draw: np.random.Generator, count: int, keys: int, span: int) -> list[tuple[int, int]]:
    return sorted((int(draw.integers(keys)), int(draw.integers(span))) for _ in range(count))


def rows(pairs: Sequence[tuple[int, int]]) -> Rows:
    return Rows(key=np.array([k for k, _ in pairs], np.int64), time=np.array([t for _, t in pairs], np.int64))


@pytest.mark.parametrize(("touch", "second"), [*itertools.product(("last", "first", "every"), repeat=2)])
def test_attribution_is_that_of_the_plain_join(touch, second):
    draw = np.random.default_rng(7)
    seen: set[EventFate] = set()
    for _ in range(60):
        keys, span = int(draw.integers(1, 6)), int(draw.integers(2, 40))
        impressions = drawn(draw, int(draw.integers(0, 25)), keys, span)
        events = {label: drawn(draw, int(draw.integers(0, 25)), keys + 1, span) for label in ("click", "buy", "like")}
        rules = [
            Rule(label="click", window_us=int(draw.integers(1, 15)), after=None, touch=touch),
            Rule(label="buy", window_us=int(draw.integers(1, 15)), after="click", touch=second),
            Rule(label="like", window_us=int(draw.integers(1, 15)), after=None, touch=second),
        ]
        found = attribute(rows(impressions), {label: rows(pairs) for label, pairs in events.items()}, rules)
        times: dict[str, list[int | None]] = {}
        for rule in rules:
            anchors = [at for _, at in impressions] if rule.after is None else times[rule.after]
            expected = plain_join(impressions, anchors, events[rule.label], rule)
            times[rule.label] = expected.times
            assert [None if t == NEVER else t for t in found[rule.label].time.tolist()] == expected.times
            assert [EventFate(fate) for fate in found[rule.label].fates.tolist()] == expected.fates
            seen.update(expected.fates)
    assert seen == set(EventFate)  # the draws have all of them


def test_window_includes_both_ends():
    rule = Rule(label="click", window_us=10, after=None, touch="last")
    found = attribute(rows([(0, 100)]), {"click": rows([(0, 99), (0, 100)])}, [rule])["click"]
    assert found.fates.tolist() == [EventFate.BEFORE_IMPRESSION, EventFate.JOINED]
    found = attribute(rows([(0, 100)]), {"click": rows([(0, 110), (0, 111)])}, [rule])["click"]
    assert found.fates.tolist() == [EventFate.JOINED, EventFate.BEYOND_WINDOW]


def test_open_labels_are_those_whose_window_is_not_over():
    rules = [
        Rule(label="click", window_us=10, after=None, touch="last"),
        Rule(label="buy", window_us=20, after="click", touch="last"),
    ]
    impressions = rows([(0, 80), (1, 88), (2, 88), (3, 60), (4, 92), (5, 92)])
    events = {"click": rows([(1, 90), (2, 91), (3, 70), (4, 93)]), "buy": rows([(2, 95)])}
    found = attribute(impressions, events, rules)
    assert open_labels(impressions, found, rules, 100).tolist() == [
        [0, 0],  # no click by 90: over
        [0, 1],  # clicked at 90: bought by 110
        [0, 0],  # has both
        [0, 0],  # clicked at 70: over at 90
        [0, 1],
        [1, 1],  # may be clicked by 102
    ]
    assert longest_window_us(rules) == 30


def test_repeats_are_the_later_impressions_of_a_key_or_of_a_name():
    key = np.array([0, 0, 1, 1, 1], np.int64)
    assert repeats(key, None, is_by_id=True).tolist() == [False, True, False, True, True]
    assert not repeats(key, None, is_by_id=False).any()
    name = np.array([7, 7, 7, 8, 7], np.uint64)
    assert repeats(key, name, is_by_id=False).tolist() == [False, True, False, False, True]
