"""The labels of a log as a tree: which label counts after which, and the tasks and predictions that follow.

A funnel ``[click, cart, purchase]`` is a chain, ``[click, purchase, favourite after click]`` a tree::

    click ─┬─ purchase          a model predicts P(click), P(purchase | click), P(favourite | click),
           └─ favourite         and the products along each path from the root
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from esmm_dist.arrays import Array, Bools
from esmm_dist.errors import SchemaError
from esmm_dist.near_names import near_names
from esmm_dist.words import in_words

_NAMES_BESIDE_TASKS = frozenset({"split", "fields", "warnings", "baseline", "calibrated_by", "by", "segments"})
"""Members of an evaluation's JSON beside those of the tasks."""
_AFTER = re.compile(r"(?P<label>.+?)\s+after\s+(?P<before>.+)")


@dataclass(frozen=True, kw_only=True)
class LabelTask:
    """One prediction of a label tree and what it is measured against."""

    name: str
    """``ctr``, ``cvr``, ``ctcvr`` of two labels; else ``cart``, ``cart_given_click``."""
    column: str
    """Column of predictions: ``pctr``, ``p_cart``, ``p_cart_given_click``."""
    label: int
    """Place of the label that it predicts."""
    given: int | None
    """Place of the label before it, among whose positives a conditional prediction is measured; None: the product along
    the path from the root, measured among all impressions."""


@dataclass(frozen=True, kw_only=True)
class LabelTree:
    """Labels, each with the one after which alone it counts. The first is the root, and a label stands behind its own.

    Args:
        names: K labels
        parents: place of the label before each one; -1 for the first alone
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]

    @classmethod
    def of(cls, names: Sequence[str], after: Mapping[str, str] | None = None) -> "LabelTree":
        """Return the tree of these labels; a label that ``after`` does not name comes after the one listed before it.

        Raises:
            SchemaError: ``after`` names a label that is unknown or does not stand before, or the first label; or two
                results would have one name.
        """
        after = after or {}
        names = tuple(names)
        for label, before in after.items():
            if label not in names:
                raise SchemaError(f"'{label} after {before}': there is no label '{label}'. Known: {', '.join(names)}.")
            if label == names[0]:
                raise SchemaError(
                    f"'{label} after {before}': the first label comes after no other. List the label that counts on "
                    "its own first."
                )
            if before not in names[: names.index(label)]:
                earlier = names[: names.index(label)]
                near = " or ".join(f"'{each}'" for each in near_names(before, earlier))
                hint = f" Did you mean {near}?" if near else ""
                raise SchemaError(
                    f"'{label} after {before}': no label '{before}' is listed before '{label}'.{hint} List it before, "
                    f"or name one of {in_words(earlier, 'or')}."
                )
        parents = [-1, *(names.index(after[n]) if n in after else place for place, n in enumerate(names[1:]))]
        tree = cls(names=names, parents=tuple(parents))
        tasks = tree.task_names
        twice = [task for task in tasks if tasks.count(task) > 1 or task in _NAMES_BESIDE_TASKS]
        if twice:
            raise SchemaError(
                f"Labels {', '.join(names)}: two results would be named '{twice[0]}', as those of a label are LABEL "
                "and LABEL_given_BEFORE. Rename a label."
            )
        return tree

    @property
    def is_chain(self) -> bool:
        """Whether each label comes after the one listed before it."""
        return self.parents == tuple(range(-1, len(self.names) - 1))

    def path(self, label: int) -> tuple[int, ...]:
        """Return the places of the labels from the root to this one, both included."""
        before = self.parents[label]
        return (label,) if before < 0 else (*self.path(before), label)

    @cached_property
    def tasks(self) -> tuple[LabelTask, ...]:
        """All predictions: the root, then for each label the conditional one and the product."""
        if len(self.names) == 2:
            short, columns = ["ctr", "cvr", "ctcvr"], ["pctr", "pcvr", "pctcvr"]
        else:
            short = [self.names[0]]
            for place, label in enumerate(self.names[1:], start=1):
                short += [f"{label}_given_{self.names[self.parents[place]]}", label]
            columns = [f"p_{name}" for name in short]
        places: list[tuple[int, int | None]] = [(0, None)]
        for place in range(1, len(self.names)):
            places += [(place, self.parents[place]), (place, None)]
        return tuple(
            LabelTask(name=name, column=column, label=label, given=given)
            for name, column, (label, given) in zip(short, columns, places, strict=True)
        )

    @property
    def task_names(self) -> list[str]:
        """Names of the tasks, in their order."""
        return [task.name for task in self.tasks]

    @property
    def columns(self) -> list[str]:
        """Names of the prediction columns, in the order of the tasks."""
        return [task.column for task in self.tasks]

    def products(self, conditional: Sequence[Any]) -> list[Any]:
        """Return the product along the path of each label.

        Args:
            conditional: K values that can be multiplied: a label's, given the one before it
        """
        products: list[Any] = []
        for place, parent in enumerate(self.parents):
            products.append(conditional[place] if parent < 0 else products[parent] * conditional[place])
        return products

    def sums(self, conditional: Sequence[Any]) -> list[Any]:
        """Return the sum along the path of each label, as ``products`` does: of logarithms."""
        sums: list[Any] = []
        for place, parent in enumerate(self.parents):
            sums.append(conditional[place] if parent < 0 else sums[parent] + conditional[place])
        return sums

    def broken(self, labels: Array) -> Bools:
        """Return where a label is 1 and the one before it is not: bool [N, K].

        Args:
            labels: 0/1 [N, K] of any integer dtype, or bool
        """
        found: Bools = labels != 0
        found[:, 1:] &= labels[:, list(self.parents[1:])] == 0
        found[:, 0] = False
        return found

    def reached(self, labels: Array) -> Bools:
        """Return the labels that count, bool [N, K]: 1, and so is each label on the path to it.

        Args:
            labels: 0/1 [N, K] of any integer dtype, or bool
        """
        found: Bools = labels != 0
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                found[:, place] &= found[:, parent]
        return found


def split_after(texts: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return names, and labels before: ``["click", "favourite after click"]`` has one of these."""
    names, after = [], {}
    for text in texts:
        found = _AFTER.fullmatch(text.strip())
        names.append(found["label"] if found else text)
        if found:
            after[found["label"]] = found["before"]
    return tuple(names), after
