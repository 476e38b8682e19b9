"""The impressions of a block: which items are shown to the users of its common rows, where, and in which order."""

from dataclasses import dataclass

import numpy as np

from preprocess.synthetic.draws import Ints, zipf_ranks
from preprocess.synthetic.users import CommonRows, pick_category
from preprocess.synthetic.world import PlantedWorld

MEAN_IMPRESSIONS_PER_ROW = 58.0
_PER_ROW_SIGMA = 1.0
_LARGEST_ROW = 2000
_MEAN_SESSION = 8
# A session's impressions are within so many lines, mixed with those of other users.
_SESSION_LINES = 40
# How items come to be shown: of a category the user likes, of a shop the user likes, or just popular.
_BY_CATEGORY, _BY_SHOP = 0.35, 0.25
# Crosses of user and item: the user list, and the item's own field of the same things.
CROSSES = {"508": ("109_14", "206"), "509": ("110_14", "207"), "702": ("127_14", "216")}


@dataclass(frozen=True)
class ShownImpressions:
    """B impressions in file order."""

    rows: Ints
    """Row of the block's common rows, int64 [B]."""
    items: Ints
    categories: Ints
    shops: Ints
    brands: Ints
    """-1: none."""
    positions: Ints
    intention_counts: Ints
    """Intentions (210) of each impression's item, int64 [B]."""
    intentions: Ints
    """Impression after impression, int64 [n]."""
    cross_counts: dict[str, Ints]
    """For 508, 509, 702: the count of the item's category (shop, brand) in the user's list, 0 if not there, [B]."""
    intention_cross: Ints
    """For 853: the count of each intention in the user's list, 0 if not there, int64 [n]."""


def row_sizes(rng: np.random.Generator, impressions: int) -> Ints:
    """Draw how many impressions use each common row: 58 on average, skewed, together ``impressions``."""
    sizes = np.zeros(0, np.int64)
    while sizes.sum() < impressions:
        more = np.exp(rng.normal(np.log(MEAN_IMPRESSIONS_PER_ROW) - _PER_ROW_SIGMA**2 / 2, _PER_ROW_SIGMA, 64))
        sizes = np.concatenate((sizes, np.clip(more, 1, _LARGEST_ROW).astype(np.int64)))
    ends = np.cumsum(sizes)
    sizes = sizes[: int(np.searchsorted(ends, impressions)) + 1]
    sizes[-1] -= int(sizes.sum()) - impressions
    return sizes


def draw_impressions(
    world: PlantedWorld, rng: np.random.Generator, common: CommonRows, sizes: Ints
) -> ShownImpressions:
    """Draw the impressions of common rows.

    Args:
        world: where the items come from
        rng: random numbers of the block
        common: R rows
        sizes: impressions of each row, int64 [R], at least 1
    """
    rows = np.repeat(np.arange(sizes.size), sizes)
    rows = rows[_file_order(rng, sizes)]
    items = _pick_items(world, rng, common, rows)
    categories, shops, brands = (
        table[items].astype(np.int64) for table in (world.item_category, world.item_shop, world.item_brand)
    )
    item_values = {"206": categories, "207": shops, "216": brands}
    counts, intentions = world.intentions(items)
    return ShownImpressions(
        rows=rows,
        items=items,
        categories=categories,
        shops=shops,
        brands=brands,
        positions=zipf_ranks(rng.random(rows.size), world.size("301"), 0.5),
        intention_counts=counts,
        intentions=intentions,
        cross_counts={
            cross: _counts_in_list(world, common, rows, list_field, item_values[item_field])
            for cross, (list_field, item_field) in CROSSES.items()
        },
        intention_cross=_counts_in_list(world, common, np.repeat(rows, counts), "150_14", intentions),
    )


def _file_order(rng: np.random.Generator, sizes: Ints) -> Ints:
    """Return an order of impressions in which each row's come in sessions, and users return within the block."""
    total = int(sizes.sum())
    begins = rng.random(total) < 1.0 / _MEAN_SESSION
    begins[np.cumsum(sizes) - sizes] = True
    session_starts = rng.random(int(begins.sum())) * total
    times = session_starts[np.cumsum(begins) - 1] + rng.random(total) * _SESSION_LINES
    return np.argsort(times, kind="stable")


def _pick_items(world: PlantedWorld, rng: np.random.Generator, common: CommonRows, rows: Ints) -> Ints:
    way, uniforms = rng.random(rows.size), rng.random(rows.size)
    items = zipf_ranks(uniforms, world.size("205"), 0.8)
    liked = pick_category(world, common.lists["109_14"], rows, rng.random(rows.size))
    of_category = world.items_of_category.pick(np.maximum(liked, 0), uniforms, 0.8)
    items = np.where((way < _BY_CATEGORY) & (liked >= 0) & (of_category >= 0), of_category, items)
    shop = _liked_shop(world, rng, common, rows)
    of_shop = world.items_of_shop.pick(np.maximum(shop, 0), uniforms, 0.8)
    by_shop = (way >= _BY_CATEGORY) & (way < _BY_CATEGORY + _BY_SHOP) & (shop >= 0) & (of_shop >= 0)
    return np.where(by_shop, of_shop, items)


def _liked_shop(world: PlantedWorld, rng: np.random.Generator, common: CommonRows, rows: Ints) -> Ints:
    shops = common.lists["110_14"]
    if shops.keys.size == 0:
        return np.full(rows.size, -1)
    places = shops.starts[rows] + (rng.random(rows.size) * shops.lengths[rows]).astype(np.int64)
    rank = world.ranges["110_14"].rank(shops.entities()[np.minimum(places, shops.keys.size - 1)])
    return np.where((shops.lengths[rows] > 0) & (rank < world.size("207")), rank, -1)


def _counts_in_list(world: PlantedWorld, common: CommonRows, rows: Ints, field: str, values: Ints) -> Ints:
    """Return the counts of items' values in their users' lists, int64 [N], 0 where not listed or the value is -1."""
    wanted = common.lists[field]
    if wanted.keys.size == 0:
        return np.zeros(rows.size, np.int64)
    places = wanted.find(rows, world.ranges[field].local(np.maximum(values, 0)))
    return np.where((values >= 0) & (places >= 0), wanted.counts[places], 0)
