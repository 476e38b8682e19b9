"""Measure, on a pilot log that is thrown away, what makes the planted rates and list lengths come out as asked."""

import numpy as np

from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.draws import Floats
from preprocess.synthetic.impressions import draw_impressions, row_sizes
from preprocess.synthetic.planted_model import Head, attraction, fit_head, head_weights, label_signals, sigmoid
from preprocess.synthetic.users import REAL_LIST_LENGTHS, draw_rows
from preprocess.synthetic.world import PlantedWorld

# 60,000 impressions on about 1,000 common rows: the click rate comes out within some 3% of what was asked.
_PILOT_IMPRESSIONS = 60_000
_LIST_ROWS = 600
_LIST_ROUNDS = 6
_MOST_DRAWS = 20


def fit_draws(world: PlantedWorld, config: SynthConfig) -> dict[str, float]:
    """Return for each list field the mean number of draws whose distinct ids have the wanted mean length.

    A list cannot hold an id twice, so more draws are needed than ids wanted: many more where the vocabulary is small.
    """
    wanted = {field: length * config.list_scale for field, length in REAL_LIST_LENGTHS.items()}
    draws = dict(wanted)
    for _ in range(_LIST_ROUNDS):
        rng = np.random.default_rng([config.seed, 1])
        common = draw_rows(world, rng, _LIST_ROWS, 0, draws)
        for field, length in wanted.items():
            reached = max(float(common.lists[field].lengths.mean()), 1e-3)
            draws[field] = min(draws[field] * length / reached, length * _MOST_DRAWS)
    return draws


def fit_heads(world: PlantedWorld, config: SynthConfig, draws: dict[str, float]) -> list[Head]:
    """Return the head of each label, with the configured rates."""
    rng = np.random.default_rng([config.seed, 2])
    sizes = row_sizes(rng, _PILOT_IMPRESSIONS)
    common = draw_rows(world, rng, sizes.size, 0, draws)
    shown = draw_impressions(world, rng, common, sizes)
    tree = config.label_tree
    signals = label_signals(world, tree, common, shown)
    heads: list[Head] = []
    reached: list[Floats] = []
    for label, (parent, rate) in enumerate(zip(tree.parents, config.rates, strict=True)):
        weights = head_weights(tree, label, config.selection_bias)
        causes = signals[label] | (attraction(heads[0], signals[0]) if heads else {})
        among = np.ones(shown.rows.size) if parent < 0 else reached[parent]
        heads.append(fit_head(weights, causes, rate, among))
        reached.append(among * sigmoid(heads[label].logits(causes)))
    return heads
