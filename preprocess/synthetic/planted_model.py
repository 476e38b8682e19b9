"""The planted model: the true probability of a click, and of each later label after the one before it.

All are logistic in a weighted sum of standardised signals, so a signal's weight is its standard deviation in logits
whatever the size of the log::

    logit P(click)              = a + Σ_s w_s · (x_s - mean_s) / deviation_s
    logit P(conversion | click) = b + Σ_s v_s · (x_s - mean_s) / deviation_s

Means, deviations and the intercepts a, b are measured on a pilot log (``calibrate``). The heads share signals but
weigh them differently: what attracts clicks (position, clickbait categories) is not what sells (price level against
the user's consumption level, loyalty to a shop), so ranking by P(click) alone is a poor ranking of conversions.
Further labels of a funnel, such as the purchase after a cart, have heads of their own: what draws them in categories,
shops, brands, tastes and profiles is drawn anew for each.

With a selection bias X the heads of conversions, the labels right after a click, have one signal more,
``attraction``, of weight X: all of the click logit but its position, which is what a user thinks of an item. Clicked
impressions are then no fair sample of all impressions in what they convert.

Most of the variance is in things that a log of 300,000 shows often: 4 positions, some hundred categories, the most
popular shops and brands, the profile. A little is where only memory helps (user, item) and where two things must
come together (profile group and category taste, list and category taste, the crosses): a better model gets more of it.
"""

from dataclasses import dataclass

import numpy as np

from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.draws import Floats, Ints, hashed_standard
from preprocess.synthetic.impressions import ShownImpressions
from preprocess.synthetic.users import CommonRows
from preprocess.synthetic.values import counted_weights
from preprocess.synthetic.world import LabelEffects, PlantedWorld

CLICK_WEIGHTS: dict[str, float] = {
    "position": 0.55,
    "category": 0.6,
    "shop": 0.4,
    "brand": 0.35,
    "profile": 0.45,
    "group_taste": 0.35,
    "list_taste": 0.15,
    "cross_category": 0.25,
    "cross_shop": 0.15,
    "cross_brand": 0.1,
    "cross_intention": 0.1,
    "item": 0.1,
    "user": 0.2,
}
CONVERSION_WEIGHTS: dict[str, float] = {
    "category_clickbait": -0.35,
    "category": 0.65,
    "shop": 0.4,
    "brand": 0.35,
    "profile": 0.55,
    "price": 0.5,
    "group_taste": 0.3,
    "list_taste": 0.15,
    "cross_category": 0.1,
    "cross_shop": 0.25,
    "cross_brand": 0.15,
    "item": 0.1,
    "user": 0.15,
}
LATER_WEIGHTS: dict[str, float] = {
    "category": 0.6,
    "shop": 0.5,
    "brand": 0.4,
    "profile": 0.5,
    "price": 0.6,
    "group_taste": 0.3,
    "list_taste": 0.15,
    "cross_shop": 0.3,
    "cross_brand": 0.2,
    "item": 0.1,
    "user": 0.15,
}
"""Weights of the third label and those behind it."""
ATTRACTION = "attraction"
"""Signal of the conversion heads with a selection bias."""
_SHOWN = ("position",)
"""Click signals that are no part of the attraction: how an item was shown, not what it is."""
_POSITION_EFFECT = np.array([1.5, 0.4, -0.6, -1.3])
# Which profile fields each head listens to.
_CLICK_PROFILE = ("121", "124", "125", "128")
_CONVERSION_PROFILE = ("121", "125", "126", "129")


@dataclass(frozen=True)
class Head:
    """One logistic head with what was measured for it."""

    weights: dict[str, float]
    means: dict[str, float]
    deviations: dict[str, float]
    intercept: float

    def logits(self, signals: dict[str, Floats]) -> Floats:
        """Return float64 [B]."""
        size = next(iter(signals.values())).size
        total = np.full(size, self.intercept)
        for name, weight in self.weights.items():
            total += (signals[name] - self.means[name]) * (weight / self.deviations[name])
        return total


def fit_head(weights: dict[str, float], signals: dict[str, Floats], rate: float, among: Floats) -> Head:
    """Measure means and deviations, and find the intercept that gives a rate.

    Args:
        weights: standard deviation in logits of each signal
        signals: signals of a pilot log, float64 [B] each
        rate: wanted mean probability
        among: weight of each impression in that mean, float64 [B]: 1 for clicks, P(click) for conversions
    """
    means = {name: float(signals[name].mean()) for name in weights}
    deviations = {name: float(signals[name].std()) or 1.0 for name in weights}
    logits = Head(weights, means, deviations, 0.0).logits(signals)
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        reached = float(np.average(sigmoid(logits + middle), weights=among))
        low, high = (middle, high) if reached < rate else (low, middle)
    return Head(weights, means, deviations, (low + high) / 2)


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)), for |x| up to 700 (the heads stay within 50)."""
    probabilities: Floats = 1.0 / (1.0 + np.exp(-logits))
    return probabilities


def click_signals(world: PlantedWorld, common: CommonRows, shown: ShownImpressions) -> dict[str, Floats]:
    """Return the signals of the click head, float64 [B] each."""
    effects = world.effects[0]
    rows = shown.rows
    listed = world.ranges["109_14"].local(shown.categories)
    signals = _shared_signals(shown)
    signals |= {
        "position": _POSITION_EFFECT[shown.positions],
        "category": effects.category[shown.categories],
        "shop": effects.shop[shown.shops],
        "brand": np.where(shown.brands >= 0, effects.brand[shown.brands], 0.0),
        "profile": _profile_effect(world, common, _CLICK_PROFILE, 200)[rows],
        "group_taste": _group_taste(effects, common, rows, listed),
        "list_taste": (_pooled_taste(effects.taste, common)[rows] * effects.taste[listed]).sum(axis=1),
        "item": hashed_standard(world.seed, 80, shown.items),
        "user": hashed_standard(world.seed, 81, common.users)[rows],
    }
    return signals


def conversion_signals(
    world: PlantedWorld, label: int, common: CommonRows, shown: ShownImpressions
) -> dict[str, Floats]:
    """Return the signals of the head of a label other than the first, float64 [B] each."""
    effects = world.effects[label]
    rows = shown.rows
    listed = world.ranges["109_14"].local(shown.categories)
    consumption = (common.profile["126"] - 1.0) * (common.profile["126"] >= 0)
    signals = _shared_signals(shown)
    signals |= {
        "category_clickbait": world.effects[0].category[shown.categories],
        "category": effects.category[shown.categories],
        "shop": effects.shop[shown.shops],
        "brand": np.where(shown.brands >= 0, effects.brand[shown.brands], 0.0),
        "profile": _profile_effect(world, common, _CONVERSION_PROFILE, effects.streams + 220)[rows],
        "price": consumption[rows] * world.price[shown.categories],
        "group_taste": _group_taste(effects, common, rows, listed),
        "list_taste": (_pooled_taste(effects.taste, common)[rows] * effects.taste[listed]).sum(axis=1),
        "item": hashed_standard(world.seed, effects.streams + 82, shown.items),
        "user": hashed_standard(world.seed, effects.streams + 83, common.users)[rows],
    }
    return signals


def label_signals(
    world: PlantedWorld, tree: LabelTree, common: CommonRows, shown: ShownImpressions
) -> list[dict[str, Floats]]:
    """Return the signals of each label's head, float64 [B] each, all but the attraction."""
    later = range(1, len(tree.names))
    return [
        click_signals(world, common, shown),
        *(conversion_signals(world, label, common, shown) for label in later),
    ]


def head_weights(tree: LabelTree, label: int, selection_bias: float) -> dict[str, float]:
    """Return the weights of a label's head; without a selection bias none has the attraction."""
    if label == 0:
        return CLICK_WEIGHTS
    bias = {ATTRACTION: selection_bias} if selection_bias and tree.parents[label] == 0 else {}
    return (CONVERSION_WEIGHTS if label == 1 else LATER_WEIGHTS) | bias


def attraction(click_head: Head, signals: dict[str, Floats]) -> dict[str, Floats]:
    """Return the signal of a selection bias, by its name: the click logit without intercept and position, float64 [B].

    Args:
        click_head: the click head
        signals: its signals
    """
    weights = {name: weight for name, weight in click_head.weights.items() if name not in _SHOWN}
    return {ATTRACTION: Head(weights, click_head.means, click_head.deviations, 0.0).logits(signals)}


def _shared_signals(shown: ShownImpressions) -> dict[str, Floats]:
    """Return how well the item meets the user's lists."""
    owner = np.repeat(np.arange(shown.rows.size), shown.intention_counts)
    intentions = counted_weights("853", shown.intention_cross)
    return {
        "cross_category": counted_weights("508", shown.cross_counts["508"]),
        "cross_shop": counted_weights("509", shown.cross_counts["509"]),
        "cross_brand": counted_weights("702", shown.cross_counts["702"]),
        "cross_intention": np.bincount(owner, weights=intentions, minlength=shown.rows.size).astype(np.float64),
    }


def _profile_effect(world: PlantedWorld, common: CommonRows, fields: tuple[str, ...], stream: int) -> Floats:
    """Sum one effect for each value (-1, missing, included) of these fields, float64 [R]."""
    effects = [hashed_standard(world.seed, stream + i, common.profile[f] + 1) for i, f in enumerate(fields)]
    total: Floats = np.sum(effects, axis=0)
    return total


def _group_taste(effects: LabelEffects, common: CommonRows, rows: Ints, categories: Ints) -> Floats:
    known = common.profile["122"][rows]
    return np.where(known >= 0, (effects.group_taste[known] * effects.taste[categories]).sum(axis=1), 0.0)


def _pooled_taste(tastes: Floats, common: CommonRows) -> Floats:
    """Return the weighted mean taste of the categories in each row's list, float64 [R, TASTE_SIZE]."""
    liked = common.lists["109_14"]
    row = np.repeat(np.arange(liked.lengths.size), liked.lengths)
    weight = counted_weights("109_14", liked.counts)
    vectors = tastes[liked.entities()] * weight[:, None]
    pooled = np.stack([np.bincount(row, v, liked.lengths.size) for v in vectors.T], axis=1)
    means: Floats = pooled / np.maximum(np.bincount(row, weight, liked.lengths.size), 1e-9)[:, None]
    return means
