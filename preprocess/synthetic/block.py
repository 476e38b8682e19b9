"""One block of a split: drawn, labelled, spoiled by warts, and written out as text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.calibrate import fit_draws, fit_heads
from preprocess.synthetic.cells import FeatureKeys
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.dimensions import field_ranges, field_sizes
from preprocess.synthetic.draws import Floats, Ints
from preprocess.synthetic.impressions import Impressions, draw_impressions, row_sizes
from preprocess.synthetic.lines import common_lines, skeleton_lines
from preprocess.synthetic.planted_model import click_signals, conversion_signals, sigmoid
from preprocess.synthetic.users import CommonRows, draw_rows
from preprocess.synthetic.warts import BlockWarts, place_warts, planned_warts, spoil_lines
from preprocess.synthetic.world import build_world


@dataclass(frozen=True)
class Block:
    """B impressions on R common rows."""

    common: CommonRows
    warts: BlockWarts
    good: npt.NDArray[np.bool_]
    """Lines that are neither malformed nor repeated, bool [B]."""
    pctr: Floats
    """True P(click), float64 [B]."""
    pcvr: Floats
    """True P(conversion | click), float64 [B]."""
    click: Ints
    conversion: Ints
    """0/1 after the chain rule, int64 [B]."""
    skeleton_text: bytes
    common_text: bytes
    num_common_lines: int
    list_ids: dict[str, int]
    """Ids that the block's impressions have in each field with several."""


class Generator:
    """Draws any block of a log. Blocks depend on the settings and their own place alone, not on each other."""

    def __init__(self, config: SynthConfig) -> None:
        self._seed = config.seed
        self.field_sizes = field_sizes(config.split_impressions["train"], config.dimension_scale)
        ranges = field_ranges(self.field_sizes, config.seed)
        self._world = build_world(ranges, config.seed)
        self._texts = FeatureKeys(ranges)
        self._draws = fit_draws(self._world, config)
        self._click_head, self._conversion_head = fit_heads(self._world, config, self._draws)

    def block(self, split: int, done: int, size: int, total: int, first_row: int) -> Block:
        """Draw a block.

        Args:
            split: Number of the split.
            done: Impressions of the split before this block.
            size: B.
            total: Impressions of the split.
            first_row: Common rows of the log before this block, over both splits.
        """
        rng = np.random.default_rng([self._seed, 3, split, done])
        sizes = row_sizes(rng, size)
        common = draw_rows(self._world, rng, sizes.size, first_row, self._draws)
        shown = draw_impressions(self._world, rng, common, sizes)
        pctr = sigmoid(self._click_head.logits(click_signals(self._world, common, shown)))
        pcvr = sigmoid(self._conversion_head.logits(conversion_signals(self._world, common, shown)))
        click = (rng.random(size) < pctr).astype(np.int64)
        conversion = click * (rng.random(size) < pcvr)
        warts = place_warts(rng, planned_warts(total), done, total, sizes.size, click)
        logged = conversion.copy()
        logged[warts.places["conversion_without_click"]] = 1
        skeleton = skeleton_lines(self._texts, common, shown, done + 1, click, logged)
        spoil_lines(rng, skeleton, warts)
        return Block(
            common=common,
            warts=warts,
            good=~warts.unusable(size),
            pctr=pctr,
            pcvr=pcvr,
            click=click,
            conversion=conversion,
            skeleton_text=skeleton.text(),
            common_text=self._common_text(common, warts),
            num_common_lines=sizes.size
            - warts.places["missing_common_row"].size
            + warts.places["duplicated_common_row"].size,
            list_ids=_list_ids(common, shown),
        )

    def _common_text(self, common: CommonRows, warts: BlockWarts) -> bytes:
        lines = common_lines(self._texts, common)
        for row in warts.places["missing_common_row"]:
            lines.erase(row)
        return lines.text() + lines.repeated(warts.places["duplicated_common_row"])


def _list_ids(common: CommonRows, shown: Impressions) -> dict[str, int]:
    ids = {field: int(user_list.lengths[shown.rows].sum()) for field, user_list in common.lists.items()}
    return ids | {"210": int(shown.intention_counts.sum()), "853": int((shown.intention_cross > 0).sum())}
