"""One block of a split: drawn, labelled, spoiled by warts, and written out as text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.calibrate import fit_draws, fit_heads
from preprocess.synthetic.cells import FeatureKeys, Part
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.dimensions import field_ranges, field_sizes
from preprocess.synthetic.draws import Floats, Ints
from preprocess.synthetic.impressions import draw_impressions, row_sizes
from preprocess.synthetic.lines import common_lines, impression_parts, skeleton_lines, user_parts
from preprocess.synthetic.planted_model import attraction, click_signals, conversion_signals, sigmoid
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
        self._world = build_world(ranges, config.seed)
        self._texts = FeatureKeys(ranges)
        self._draws = fit_draws(self._world, config)
        self._click_head, self._conversion_head = fit_heads(self._world, config, self._draws)

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
        of_click = click_signals(self._world, common, shown)
        of_conversion = conversion_signals(self._world, common, shown) | attraction(self._click_head, of_click)
        pctr = sigmoid(self._click_head.logits(of_click))
        pcvr = sigmoid(self._conversion_head.logits(of_conversion))
        click = (rng.random(size) < pctr).astype(np.int64)
        conversion = click * (rng.random(size) < pcvr)
        warts = place_warts(rng, planned_warts(total), done, total, sizes.size, click)
        logged = conversion.copy()
        logged[warts.places["conversion_without_click"]] = 1
        of_rows, of_lines = user_parts(self._texts, common), impression_parts(self._texts, shown)
        skeleton = skeleton_lines(common, shown, of_lines, done + 1, click, logged)
        spoil_lines(rng, skeleton, warts)
        good = ~warts.unusable(size)
        return Block(
            common=common,
            warts=warts,
            good=good,
            pctr=pctr,
            pcvr=pcvr,
            click=click,
            conversion=conversion,
            skeleton_text=skeleton.text(),
            common_text=_common_text(common, of_rows, warts),
            num_common_lines=sizes.size
            - warts.places["missing_common_row"].size
            + warts.places["duplicated_common_row"].size,
            without_common_row=int(np.isin(shown.rows[good], warts.places["missing_common_row"]).sum()),
            ids={field: int(part.counts[shown.rows].sum()) for field, part in of_rows.items()}
            | {field: int(part.counts.sum()) for field, part in of_lines.items()},
        )


def _common_text(common: CommonRows, parts: dict[str, Part], warts: BlockWarts) -> bytes:
    lines = common_lines(common, parts)
    for row in warts.places["missing_common_row"]:
        lines.erase(row)
    return lines.text() + lines.repeated(warts.places["duplicated_common_row"])
