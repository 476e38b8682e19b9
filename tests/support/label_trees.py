"""Label trees of any shape, and labels that follow them."""

import numpy as np
from hypothesis import strategies as st

from esmm_dist.arrays import I64
from esmm_dist.schema.label_tree import LabelTree

_NAMES = ("click", "cart", "order", "pay", "ship", "review")


@st.composite
def label_trees(draw: st.DrawFn, *, min_labels: int = 1, max_labels: int = 6) -> LabelTree:
    """Draw a tree: each label comes after any one listed before it."""
    number = draw(st.integers(min_labels, max_labels))
    parents = [-1, *(draw(st.integers(0, place - 1)) for place in range(1, number))]
    return LabelTree(names=_NAMES[:number], parents=tuple(parents))


def drawn_labels(tree: LabelTree, size: int, seed: int) -> I64:
    """Return 0/1 int64 [size, K], each 1 with probability 1/2 where the label before it is."""
    labels = np.random.default_rng(seed).integers(0, 2, (size, len(tree.names)))
    for place, parent in enumerate(tree.parents):
        if parent >= 0:
            labels[:, place] *= labels[:, parent]
    return labels
