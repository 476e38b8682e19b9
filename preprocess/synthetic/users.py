"""The common rows of a block: which user, with which profile and which lists of what the user liked before."""

from dataclasses import dataclass

import numpy as np

from preprocess.synthetic.draws import Floats, Groups, Ints, hashed_uniform, heavy_counts, scattered_keys, zipf_ranks
from preprocess.synthetic.world import PlantedWorld

# Mean ids an impression in the real set, and the item field that names the same things. A user's shops are of all the
# shops there are (2 million); those with items in the log (207) are the most popular of them.
REAL_LIST_LENGTHS = {"109_14": 69.0, "110_14": 250.0, "127_14": 153.6, "150_14": 135.9}
ITEM_FIELDS = {"109_14": "206", "110_14": "207", "127_14": "216", "150_14": "210"}
LARGEST_COUNT = {"109_14": 1000, "110_14": 1000, "127_14": 1000, "150_14": 4000}
# Three of four entries of a list are the user's own and come again in each of the user's rows.
_OWN_SHARE = 0.75
_LENGTH_SIGMA = 0.6
_OF_OWN_CATEGORIES = 0.7
_LIST_SKEW = 1.0
_FIRST_STREAM = 300


@dataclass(frozen=True)
class UserList:
    """One list field of R common rows, ragged: row 0's entries, then row 1's, ...

    ``keys`` is ascending, so that one binary search tells whether a row's list holds an id.
    """

    keys: Ints
    """row * size of the field + entity, int64 [n]."""
    counts: Ints
    """What the entry's value shows: how often the user clicked such (twelfths of it for 150_14), int64 [n]."""
    lengths: Ints
    """Entries of each row, int64 [R]."""
    size: int

    @property
    def starts(self) -> Ints:
        """First entry of each row, int64 [R]."""
        starts: Ints = np.cumsum(self.lengths) - self.lengths
        return starts

    def entities(self) -> Ints:
        """Return the entity of each entry, int64 [n]."""
        return self.keys % self.size

    def find(self, rows: Ints, entities: Ints) -> Ints:
        """Return the place of (row, entity) pairs in the list, int64 [N], or -1 where it is not listed."""
        if self.keys.size == 0:
            return np.full(rows.size, -1)
        keys = rows * self.size + entities
        places = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[places] == keys, places, -1)


@dataclass(frozen=True)
class CommonRows:
    """R rows of a common features file."""

    keys: np.ndarray[tuple[int], np.dtype[np.uint64]]
    """common_feature_index, uint64 [R], all different."""
    users: Ints
    profile: dict[str, Ints]
    lists: dict[str, UserList]


def draw_rows(
    world: PlantedWorld, rng: np.random.Generator, num_rows: int, first_row: int, mean_draws: dict[str, float]
) -> CommonRows:
    """Draw common rows.

    Args:
        world: where the users live
        rng: random numbers of the block
        num_rows: R
        first_row: number of the first row, over both splits, which makes the row's key
        mean_draws: for each list field the mean number of draws; repeats are then dropped (see ``calibrate``)
    """
    users = rng.integers(0, world.size("101"), num_rows)
    appetite = np.exp(rng.normal(-(_LENGTH_SIGMA**2) / 2, _LENGTH_SIGMA, num_rows))
    lists: dict[str, UserList] = {}
    liked_categories = max(1, round(mean_draws["109_14"]))
    for field in REAL_LIST_LENGTHS:
        draws = rng.poisson(appetite * mean_draws[field])
        lists[field] = _draw_list(world, rng, users, draws, field, liked_categories)
    return CommonRows(
        keys=scattered_keys(world.seed, np.arange(first_row, first_row + num_rows)),
        users=users,
        profile=world.profiles(users),
        lists=lists,
    )


@dataclass(frozen=True)
class _Entries:
    """Entries of one list field as they are drawn, repeats among them, int64 or float64 [n] each."""

    field: str
    users: Ints
    tasters: Ints
    """Whose taste an entry follows: the user's, or that of a user who does not exist."""
    nth: Ints
    """Which of its row's draws an entry is."""

    @property
    def stream(self) -> int:
        """First of the streams of random numbers that belong to the field."""
        return _FIRST_STREAM + 10 * list(REAL_LIST_LENGTHS).index(self.field)

    def tastes(self, seed: int) -> Floats:
        """Return uniforms; the n-th own entry of a user has always the same one."""
        return hashed_uniform(seed, self.stream, self.tasters, self.nth)


def _draw_list(
    world: PlantedWorld, rng: np.random.Generator, users: Ints, draws: Ints, field: str, liked_categories: int
) -> UserList:
    rows = np.repeat(np.arange(users.size), draws)
    nth = np.arange(rows.size) - np.repeat(np.cumsum(draws) - draws, draws)
    own = rng.random(rows.size) < _OWN_SHARE
    tasters = np.where(own, users[rows], world.size("101") + rng.integers(0, 2**40, rows.size))
    drawn = _Entries(field, users[rows], tasters, nth)
    entities = zipf_ranks(drawn.tastes(world.seed), world.size(field), _LIST_SKEW)
    if field != "109_14":
        related = _related(world, drawn, liked_categories)
        entities = np.where(related < 0, entities, related)
    keys, first = np.unique(rows * world.size(field) + world.ranges[field].local(entities), return_index=True)
    uniforms = hashed_uniform(world.seed, drawn.stream + 3, drawn.users, entities)
    counts = heavy_counts(uniforms[first], LARGEST_COUNT[field])
    if field == "150_14":  # decayed by age, in twelfths
        counts = np.minimum(LARGEST_COUNT[field], counts * 12 - rng.integers(0, 9, counts.size))
    lengths = np.bincount(keys // world.size(field), minlength=users.size)
    return UserList(keys=keys, counts=counts, lengths=lengths, size=world.size(field))


def _related(world: PlantedWorld, drawn: _Entries, liked_categories: int) -> Ints:
    """Pick each entry among the shops (brands, intentions) of a category that the user likes; -1 for the others."""
    members: Groups = {
        "110_14": world.shops_of_category,
        "127_14": world.brands_of_category,
        "150_14": world.intentions_of_category,
    }[drawn.field]
    place = (hashed_uniform(world.seed, drawn.stream + 1, drawn.tasters, drawn.nth) * liked_categories).astype(np.int64)
    liked = hashed_uniform(world.seed, _FIRST_STREAM, drawn.users, place)  # as 109_14 draws the user's own entries
    category = zipf_ranks(liked, world.size("109_14"), _LIST_SKEW)
    has_items = category < world.size("206")
    picked = members.pick(np.where(has_items, category, 0), drawn.tastes(world.seed), 0.8)
    is_own = hashed_uniform(world.seed, drawn.stream + 2, drawn.tasters, drawn.nth) < _OF_OWN_CATEGORIES
    return np.where(has_items & is_own, picked, -1)


def pick_category(world: PlantedWorld, categories: UserList, rows: Ints, uniforms: Floats) -> Ints:
    """Return for each row one category of its list that has items, int64 [N], or -1."""
    lengths = categories.lengths[rows]
    places = categories.starts[rows] + (uniforms * lengths).astype(np.int64)
    if categories.keys.size == 0:
        return np.full(rows.size, -1)
    local = categories.entities()[np.minimum(places, categories.keys.size - 1)]
    rank = world.ranges["109_14"].rank(local)
    return np.where((lengths > 0) & (rank < world.size("206")), rank, -1)
