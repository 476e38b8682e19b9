"""What is wrong in every real log, at small rates: planted, counted by kind, and known to the report.

kind                      what the line looks like                                    a line of its own?
conversion_without_click  a label is 1 and the one before it 0: kept by preprocess,   no
                          not a positive; a kind for each label but the first
repeated_sample_id        the sample id of an earlier line                            yes
cut_short                 ends behind the labels                                      yes
non_numeric_id            205's id is a word                                          yes
negative_value            210's last value is below 0                                 yes
missing_common_row        a common row that impressions name is not in its file       no
duplicated_common_row     a common row is in its file twice                           no

No two of those with a line of their own are on the same line, so their counts add up.
"""

from dataclasses import dataclass

import numpy as np

from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.cells import Lines
from preprocess.synthetic.draws import Ints

# Lines a kind, per million impressions; the real set has 230 conversions without a click in 42.3 million.
ANOMALIES_PER_MILLION = 230 / 42.3
RATES_PER_MILLION = {
    "repeated_sample_id": 50.0,
    "cut_short": 20.0,
    "non_numeric_id": 20.0,
    "negative_value": 20.0,
    "missing_common_row": 4.0,
    "duplicated_common_row": 8.0,
}
# At least so many in a split of 2,000 impressions or more, so that a small log shows each kind; none in a smaller one,
# where they would be more than the 1% of rejected lines that preprocess allows.
FEWEST_ANOMALIES = 3
MINIMUM = {
    "repeated_sample_id": 3,
    "cut_short": 1,
    "non_numeric_id": 1,
    "negative_value": 1,
    "missing_common_row": 1,
    "duplicated_common_row": 2,
}
SMALLEST_SPLIT = 2000
IMPRESSIONS_A_DUPLICATED_ROW = 20_000  # some 345 common rows: at most 0.3% of them are rejected
UNUSABLE_KINDS = ("repeated_sample_id", "cut_short", "non_numeric_id", "negative_value")


@dataclass(frozen=True)
class BlockWarts:
    """Where one block has its warts: line (or row) numbers within the block, by kind."""

    places: dict[str, Ints]

    def unusable(self, size: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which of ``size`` lines are malformed or repeated, bool [size]."""
        marked = np.zeros(size, np.bool_)
        for kind in UNUSABLE_KINDS:
            marked[self.places[kind]] = True
        return marked


@dataclass(frozen=True, kw_only=True)
class SplitPart:
    """Which part of a split a block is."""

    done: int
    """Impressions of the split before the block."""
    total: int
    """Impressions of the split."""

    def of(self, planned: int, size: int) -> int:
        """Return how many of what is planned for the split a block of ``size`` impressions gets."""
        return planned * (self.done + size) // self.total - planned * self.done // self.total


def anomaly_kind(tree: LabelTree, label: int) -> str:
    """Return the kind of a label that is 1 without the one before it, such as ``conversion_without_click``."""
    return f"{tree.names[label]}_without_{tree.names[tree.parents[label]]}"


def planned_warts(impressions: int, tree: LabelTree) -> dict[str, int]:
    """Return how many of each kind a split of so many impressions gets."""
    rates = {anomaly_kind(tree, label): ANOMALIES_PER_MILLION for label in range(1, len(tree.names))}
    fewest = dict.fromkeys(rates, FEWEST_ANOMALIES) | MINIMUM
    rates |= RATES_PER_MILLION
    if impressions < SMALLEST_SPLIT:
        return dict.fromkeys(rates, 0)
    planned = {kind: max(fewest[kind], round(impressions * rate / 1e6)) for kind, rate in rates.items()}
    # Common rows are 58 times fewer than impressions: two repeated ones are more than 1% of a small split's
    planned["duplicated_common_row"] = min(
        planned["duplicated_common_row"], impressions // IMPRESSIONS_A_DUPLICATED_ROW
    )
    return planned


def place_warts(rng: np.random.Generator, part: SplitPart, num_rows: int, tree: LabelTree, labels: Ints) -> BlockWarts:
    """Choose a block's warts, all but the anomalies of the labels from the third on.

    Args:
        rng: random numbers of the block
        part: which part of its split the block is, and so of the split's warts
        num_rows: common rows of the block
        tree: K labels
        labels: 0/1 of the block's impressions, int64 [B, K]
    """
    size = len(labels)
    here = {kind: part.of(number, size) for kind, number in planned_warts(part.total, tree).items()}
    anomalies = anomaly_kind(tree, 1)
    places = {anomalies: _choose(rng, np.flatnonzero(labels[:, 0] == 0), here[anomalies])}
    # Line 0 has no earlier line to repeat.
    candidates = np.setdiff1d(np.arange(1, size), places[anomalies])
    lines = _choose(rng, candidates, sum(here[kind] for kind in UNUSABLE_KINDS))
    rows = _choose(rng, np.arange(num_rows), here["missing_common_row"] + here["duplicated_common_row"])
    for kind in UNUSABLE_KINDS:
        places[kind], lines = np.split(lines, [min(here[kind], lines.size)])
    places["missing_common_row"], places["duplicated_common_row"] = np.split(rows, [here["missing_common_row"]])
    return BlockWarts({kind: np.sort(at) for kind, at in places.items()})


def place_later_anomalies(
    rng: np.random.Generator, part: SplitPart, warts: BlockWarts, tree: LabelTree, labels: Ints
) -> None:
    """Add the anomalies of the labels from the third on, on lines that have no other.

    Args:
        rng: random numbers for them alone
        part: which part of its split the block is
        warts: warts of the block so far
        tree: K labels
        labels: 0/1 of the block's impressions, int64 [B, K]
    """
    planned = planned_warts(part.total, tree)
    free = ~warts.unusable(len(labels))
    for label in range(1, len(tree.names)):
        kind = anomaly_kind(tree, label)
        if label > 1:
            without = np.flatnonzero(free & (labels[:, tree.parents[label]] == 0))
            warts.places[kind] = np.sort(_choose(rng, without, part.of(planned[kind], len(labels))))
        free[warts.places[kind]] = False


def logged_labels(warts: BlockWarts, tree: LabelTree, labels: Ints) -> Ints:
    """Return the labels as the log shows them, anomalies among them, int64 [B, K]."""
    logged = labels.copy()
    for label in range(1, len(tree.names)):
        logged[warts.places[anomaly_kind(tree, label)], label] = 1
    return logged


def spoil_lines(rng: np.random.Generator, skeleton: Lines, warts: BlockWarts, num_labels: int) -> None:
    """Write the malformed and repeated lines of a block into its skeleton lines."""
    cells, starts, ends = skeleton.cells, skeleton.starts, skeleton.ends
    unusable = warts.unusable(starts.size)
    for line in warts.places["repeated_sample_id"]:
        # Users reload pages: the line before is near, and it must be one that preprocess accepts.
        near = np.arange(max(0, line - 1000), line)
        cells["key"][starts[line]] = cells["key"][starts[rng.choice(near[~unusable[near]])]]
    for line in warts.places["cut_short"]:
        skeleton.erase(line, from_cell=1)
        cells["value"][starts[line]] = b",".join([b"0"] * num_labels) + b"\n"
    cells["key"][starts[warts.places["non_numeric_id"]] + skeleton.num_headers] = b"205\x02none\x03"
    cells["value"][ends[warts.places["negative_value"]] - 1] = b"-0.5\n"


def _choose(rng: np.random.Generator, candidates: Ints, number: int) -> Ints:
    return rng.permutation(candidates)[:number]
