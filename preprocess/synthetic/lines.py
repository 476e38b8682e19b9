"""The lines of both raw files for one block."""

import numpy as np

from preprocess.synthetic.cells import (
    FeatureKeys,
    Lines,
    Part,
    Texts,
    build_lines,
    decimal_texts,
    hex_texts,
    joined_texts,
)
from preprocess.synthetic.draws import Ints
from preprocess.synthetic.impressions import ShownImpressions
from preprocess.synthetic.users import CommonRows
from preprocess.synthetic.values import FRACTION_TEXTS, counted_texts
from preprocess.synthetic.world import PROFILE_FIELDS

_ONE = np.array(b"1.0\x01", dtype="S8")


def user_parts(texts: FeatureKeys, common: CommonRows) -> dict[str, Part]:
    """Return the fields of common rows, in line order: user, profile, then the lists."""
    always = np.ones(common.users.size, np.int64)
    parts = {"101": Part(always, texts.of_ranks("101", common.users), _ONE)}
    parts |= {field: _at_most_one(texts, field, common.profile[field]) for field in PROFILE_FIELDS}
    for field, user_list in common.lists.items():
        keys = texts.of_local(field, user_list.entities())
        parts[field] = Part(user_list.lengths, keys, counted_texts(field, user_list.counts))
    return parts


def impression_parts(texts: FeatureKeys, shown: ShownImpressions) -> dict[str, Part]:
    """Return the fields of impressions, in line order: 205 is first and 210 last in every line."""
    always = np.ones(shown.rows.size, np.int64)
    return {
        "205": Part(always, texts.of_ranks("205", shown.items), _ONE),
        "206": Part(always, texts.of_ranks("206", shown.categories), _ONE),
        "207": Part(always, texts.of_ranks("207", shown.shops), _ONE),
        "216": _at_most_one(texts, "216", shown.brands),
        "301": Part(always, texts.of_ranks("301", shown.positions), _ONE),
        "508": _cross(texts, "508", always, shown.categories, shown.cross_counts["508"]),
        "509": _cross(texts, "509", always, shown.shops, shown.cross_counts["509"]),
        "702": _cross(texts, "702", always, np.maximum(shown.brands, 0), shown.cross_counts["702"]),
        "853": _cross(texts, "853", shown.intention_counts, shown.intentions, shown.intention_cross),
        "210": _intentions(texts, shown),
    }


def common_lines(common: CommonRows, parts: dict[str, Part]) -> Lines:
    """Build the common features lines of rows and their ``user_parts``."""
    hexed = hex_texts(common.keys)
    return build_lines([(hexed, np.zeros(hexed.size, "S8"))], list(parts.values()))


def skeleton_lines(
    common: CommonRows,
    shown: ShownImpressions,
    parts: dict[str, Part],
    first_sample: int,
    labels: Ints,
) -> Lines:
    """Build the skeleton lines: two header cells (sample and labels; common row), then the features.

    Args:
        common: common rows of the block
        shown: B impressions
        parts: their ``impression_parts``
        first_sample: sample id of the first line
        labels: 0/1 as the log shows them, int64 [B, K]; K at most 4, what a cell has room for
    """
    size = shown.rows.size
    samples = joined_texts(b"", decimal_texts(np.arange(first_sample, first_sample + size)), b",")
    headers = [(samples, _label_texts(labels)), (hex_texts(common.keys)[shown.rows], np.zeros(size, "S8"))]
    return build_lines(headers, list(parts.values()))


def _label_texts(labels: Ints) -> Texts:
    """Return ``1,0,`` of labels 1 and 0, ``S8`` [B]."""
    width = labels.shape[1]
    texts = [",".join(f"{number:0{width}b}") + "," for number in range(2**width)]
    return np.array(texts, dtype="S8")[labels @ (1 << np.arange(width)[::-1])]


def _at_most_one(texts: FeatureKeys, field: str, values: Ints) -> Part:
    present = values >= 0
    return Part(present.astype(np.int64), texts.of_ranks(field, values[present]), _ONE)


def _cross(texts: FeatureKeys, field: str, counts: Ints, entities: Ints, in_list: Ints) -> Part:
    """Keep the features whose entity is in the user's list; the field has room for the most popular ones only."""
    owner = np.repeat(np.arange(counts.size), counts)
    kept = (in_list > 0) & (entities < texts.size(field))
    keys: Texts = texts.of_ranks(field, entities[kept])
    return Part(np.bincount(owner[kept], minlength=counts.size), keys, counted_texts(field, in_list[kept]))


def _intentions(texts: FeatureKeys, shown: ShownImpressions) -> Part:
    """An intention's value is its share of the item, in twelfths: fixed for the pair's place in the vocabulary."""
    twelfths = 1 + shown.intentions % 12
    return Part(shown.intention_counts, texts.of_ranks("210", shown.intentions), FRACTION_TEXTS[twelfths])
