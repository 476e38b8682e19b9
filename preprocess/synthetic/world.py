"""The planted world: users with profiles, and items with a category, a shop, a brand and intentions.

Categories, shops, brands, intentions, items and users are numbered by popularity: 0 is the most frequent. What a thing
is like (its appeal, its taste vector) is a function of (seed, number), so the world is the same in both splits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.dimensions import FieldRange
from preprocess.synthetic.draws import (
    Floats,
    Groups,
    Ints,
    group_members,
    hashed_standard,
    hashed_uniform,
    zipf_ranks,
)

TASTE_SIZE = 3
PROFILE_FIELDS = ("121", "122", "124", "125", "126", "127", "128", "129")
# Share of users that lack the field. The published statistics give only that a field has at most one id; 127 is
# known to be the field that most users lack.
PROFILE_MISSING = {"121": 0.02, "122": 0.02, "124": 0.02, "125": 0.02, "126": 0.05, "127": 0.4, "128": 0.02, "129": 0.3}
BRAND_MISSING = 0.3
MAX_INTENTIONS = 24
# Draws, of which 6.1 are left on average when repeats are dropped: the real set's mean.
_MEAN_INTENTION_DRAWS = 7.1
# Part of an item's intentions that is common to all categories, as "gift" is.
_COMMON_INTENTIONS = 0.4
_CATEGORY_SKEW = 0.9
_STREAMS_A_LABEL = 1000  # of random numbers, from the third label on
_TAIL_STARTS_AT = {"206": 10**9, "207": 200, "216": 200}


@dataclass(frozen=True)
class LabelEffects:
    """What draws one label: standardised effects of each category, shop and brand, and tastes."""

    category: Floats
    """float64 [n]"""
    shop: Floats
    brand: Floats
    taste: Floats
    """Taste vectors of the categories of the lists' domain, float64 [ids of 109_14, TASTE_SIZE]."""
    group_taste: Floats
    """Taste vectors of the profile groups (122), float64 [14, TASTE_SIZE]."""
    streams: int
    """First of the streams of random numbers for profiles, items and users."""


@dataclass(frozen=True)
class PlantedWorld:
    """Everything that blocks are drawn from. About 100 bytes an item."""

    seed: int
    ranges: dict[str, FieldRange]
    effects: tuple[LabelEffects, ...]
    """What draws each label."""
    price: Floats
    """Price level of each category, standardised, float64 [n]: meets the users' consumption level."""
    item_category: npt.NDArray[np.int32]
    item_shop: npt.NDArray[np.int32]
    item_brand: npt.NDArray[np.int32]
    """-1: no brand."""
    items_of_category: Groups
    items_of_shop: Groups
    shops_of_category: Groups
    brands_of_category: Groups
    intentions_of_category: Groups

    def size(self, field: str) -> int:
        """Return the number of ids of a field."""
        return self.ranges[field].size

    def intentions(self, items: Ints) -> tuple[Ints, Ints]:
        """Return the intentions of items as a ragged list: counts int64 [N] and intentions, item after item.

        1 to 24 an item, 6.1 on average; an item's are always the same. Repeats within an item are dropped.
        """
        uniforms = hashed_uniform(self.seed, 30, items)
        counts = np.minimum(1 + np.floor(-np.log1p(-uniforms) * _MEAN_INTENTION_DRAWS), MAX_INTENTIONS)
        owner = np.repeat(np.arange(items.size), counts.astype(np.int64))
        nth = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts.astype(np.int64)).astype(np.int64)
        picked = self.intentions_of_category.pick(
            self.item_category[items[owner]].astype(np.int64), hashed_uniform(self.seed, 31, items[owner], nth), 0.7
        )
        elsewhere = zipf_ranks(hashed_uniform(self.seed, 32, items[owner], nth), self.size("210"), 1.0)
        common = hashed_uniform(self.seed, 33, items[owner], nth) < _COMMON_INTENTIONS
        keys = np.unique(owner * self.size("210") + np.where(common | (picked < 0), elsewhere, picked))
        return np.bincount(keys // self.size("210"), minlength=items.size), keys % self.size("210")

    def profiles(self, users: Ints) -> dict[str, Ints]:
        """Return each profile field's value, int64 [N] from 0, or -1 where the user lacks it.

        The group (122) is gender by age, as in the real set: 2 x 7.
        """
        values = {}
        group = zipf_ranks(hashed_uniform(self.seed, 40, users), self.size("122"), 0.4)
        for number, field in enumerate(PROFILE_FIELDS):
            value = zipf_ranks(hashed_uniform(self.seed, 41 + number, users), self.size(field), 0.5)
            if field == "122":
                value = group
            elif field == "124":
                value = group % 2
            elif field == "125":
                value = group // 2
            lacking = hashed_uniform(self.seed, 51 + number, users) < PROFILE_MISSING[field]
            values[field] = np.where(lacking, -1, value)
        return values


def build_world(ranges: dict[str, FieldRange], seed: int, num_labels: int = 2) -> PlantedWorld:
    """Draw the world of these field sizes."""
    sizes = {name: r.size for name, r in ranges.items()}
    categories = sizes["206"]
    item_category = _categories(seed, 10, sizes["205"], categories)
    shops = group_members(_categories(seed, 11, sizes["207"], categories), categories)
    brands = group_members(_categories(seed, 12, sizes["216"], categories), categories)
    items = np.arange(sizes["205"])
    shop = _of_category(seed, 13, shops, item_category, items, sizes["207"])
    brand = _of_category(seed, 14, brands, item_category, items, sizes["216"])
    brand[hashed_uniform(seed, 15, items) < BRAND_MISSING] = -1
    return PlantedWorld(
        seed=seed,
        ranges=ranges,
        effects=tuple(_effects(seed, label, sizes) for label in range(num_labels)),
        price=hashed_standard(seed, 26, np.arange(categories)),
        item_category=item_category,
        item_shop=shop,
        item_brand=brand,
        items_of_category=group_members(item_category, categories),
        items_of_shop=group_members(shop, sizes["207"]),
        shops_of_category=shops,
        brands_of_category=brands,
        intentions_of_category=group_members(_categories(seed, 27, sizes["210"], categories), categories),
    )


def _categories(seed: int, stream: int, size: int, categories: int) -> npt.NDArray[np.int32]:
    uniforms = hashed_uniform(seed, stream, np.arange(size))
    return zipf_ranks(uniforms, categories, _CATEGORY_SKEW).astype(np.int32)


def _of_category(
    seed: int, stream: int, members: Groups, categories: npt.NDArray[np.int32], items: Ints, size: int
) -> npt.NDArray[np.int32]:
    """Pick each item a shop (or brand) of its category; any popular one if the category has none."""
    picked = members.pick(categories.astype(np.int64), hashed_uniform(seed, stream, items), 0.9)
    elsewhere = zipf_ranks(hashed_uniform(seed, stream + 100, items), size, 0.9)
    return np.where(picked < 0, elsewhere, picked).astype(np.int32)


def _effects(seed: int, label: int, sizes: dict[str, int]) -> LabelEffects:
    first = label if label < 2 else _STREAMS_A_LABEL * label + 1
    return LabelEffects(
        category=_appeals(seed, 16 + first, "206", sizes["206"]),
        shop=_appeals(seed, 18 + first, "207", sizes["207"]),
        brand=_appeals(seed, 20 + first, "216", sizes["216"]),
        taste=_tastes(seed, 22 + first, sizes["109_14"]),
        group_taste=_tastes(seed, 24 + first, sizes["122"]),
        streams=0 if label < 2 else _STREAMS_A_LABEL * label,
    )


def _appeals(seed: int, stream: int, field: str, size: int) -> Floats:
    numbers = np.arange(size)
    # The tail differs less: an effect of a shop that is seen twice is noise to every model, and would only widen the
    # gap between the best AUC and the best learnable one.
    shrink = np.minimum(1.0, np.sqrt(_TAIL_STARTS_AT[field] / (numbers + 1.0)))
    appeals: Floats = hashed_standard(seed, stream, numbers) * shrink
    return appeals


def _tastes(seed: int, stream: int, size: int) -> Floats:
    flat = hashed_standard(seed, stream, np.arange(size * TASTE_SIZE))
    return flat.reshape(size, TASTE_SIZE)
