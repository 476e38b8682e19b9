"""One block of a split: drawn, labelled, spoiled by warts, and written out as text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.calibrate import fit_draws, fit_heads
from preprocess.synthetic.cells import FeatureKeys, Part
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.dimensions import field_ranges, field_sizes
from preprocess.synthetic.draws import Floats, Ints
from preprocess.synthetic.impressions import ShownImpressions, draw_impressions, row_sizes
from preprocess.synthetic.lines import common_lines, impression_parts, skeleton_lines, user_parts
from preprocess.synthetic.planted_model import attraction, label_signals, sigmoid
from preprocess.synthetic.users import CommonRows, draw_rows
from preprocess.synthetic.warts import (
    BlockWarts,
    SplitPart,
    logged_labels,
    place_later_anomalies,
    place_warts,
    spoil_lines,
)
from preprocess.synthetic.world import build_world


@dataclass(frozen=True)
class Block:
    """B impressions on R common rows."""

    common: CommonRows
    shown: ShownImpressions
    warts: BlockWarts
    good: npt.NDArray[np.bool_]
    """Lines that are neither malformed nor repeated, bool [B]."""
    conditional: list[Floats]
    """True probability of each label given the one before it, float64 [B] each."""
    labels: Ints
    """0/1, never 1 where the label before is 0, int64 [B, K]."""
    skeleton_text: bytes
    common_text: bytes
    num_common_lines: int
    without_common_row: int
    """Good lines whose common row is missing."""
    ids: dict[str, int]
    """Ids that the block's impressions have in each field."""


class Generator:
    """Draws any block of a log. Blocks depend on the settings and their own place alone, not on each other."""

    def __init__(self, config: SynthConfig) -> None:
        self._seed = config.seed
        self.field_sizes = field_sizes(config.split_impressions["train"], config.dimension_scale)
        ranges = field_ranges(self.field_sizes, config.seed)
        self._tree = config.label_tree
        self._world = build_world(ranges, config.seed, len(self._tree.names))
        self._texts = FeatureKeys(ranges)
        self._draws = fit_draws(self._world, config)
        self._heads = fit_heads(self._world, config, self._draws)

    def _probabilities(self, common: CommonRows, shown: ShownImpressions) -> list[Floats]:
        signals = label_signals(self._world, self._tree, common, shown)
        drawn_by = attraction(self._heads[0], signals[0])
        return [sigmoid(head.logits(of_label | drawn_by)) for head, of_label in zip(self._heads, signals, strict=True)]

    def block(self, split: int, done: int, size: int, total: int, first_row: int) -> Block:
        """Draw a block.

        Args:
            split: number of the split
            done: impressions of the split before this block
            size: B
            total: impressions of the split
            first_row: common rows of the log before this block, over both splits
        """
        rng = np.random.default_rng([self._seed, 3, split, done])
        sizes = row_sizes(rng, size)
        common = draw_rows(self._world, rng, sizes.size, first_row, self._draws)
        shown = draw_impressions(self._world, rng, common, sizes)
        conditional = self._probabilities(common, shown)
        # Of their own, so that the rest of a block does not depend on the number of labels
        later_rng = np.random.default_rng([self._seed, 4, split, done])
        labels = draw_labels(self._tree, conditional, rng, later_rng)
        part = SplitPart(done=done, total=total)
        warts = place_warts(rng, part, sizes.size, self._tree, labels)
        place_later_anomalies(later_rng, part, warts, self._tree, labels)
        of_rows, of_lines = user_parts(self._texts, common), impression_parts(self._texts, shown)
        skeleton = skeleton_lines(common, shown, of_lines, done + 1, logged_labels(warts, self._tree, labels))
        spoil_lines(rng, skeleton, warts, len(self._tree.names))
        good = ~warts.unusable(size)
        return Block(
            common=common,
            shown=shown,
            warts=warts,
            good=good,
            conditional=conditional,
            labels=labels,
            skeleton_text=skeleton.text(),
            common_text=_common_text(common, of_rows, warts),
            num_common_lines=sizes.size
            - warts.places["missing_common_row"].size
            + warts.places["duplicated_common_row"].size,
            without_common_row=int(np.isin(shown.rows[good], warts.places["missing_common_row"]).sum()),
            ids={field: int(part.counts[shown.rows].sum()) for field, part in of_rows.items()}
            | {field: int(part.counts.sum()) for field, part in of_lines.items()},
        )


def draw_labels(
    tree: LabelTree, conditional: list[Floats], rng: np.random.Generator, later_rng: np.random.Generator
) -> Ints:
    """Draw the labels of impressions, int64 [B, K].

    Args:
        tree: K labels
        conditional: probability of each label given the one before it, float64 [B] each
        rng: random numbers of the first two labels
        later_rng: those of the others
    """
    labels = np.zeros((conditional[0].size, len(conditional)), np.int64)
    for label, (parent, p) in enumerate(zip(tree.parents, conditional, strict=True)):
        happens = (rng if label < 2 else later_rng).random(p.size) < p
        labels[:, label] = happens if parent < 0 else labels[:, parent] * happens
    return labels


def _common_text(common: CommonRows, parts: dict[str, Part], warts: BlockWarts) -> bytes:
    lines = common_lines(common, parts)
    for row in warts.places["missing_common_row"]:
        lines.erase(row)
    return lines.text() + lines.repeated(warts.places["duplicated_common_row"])
