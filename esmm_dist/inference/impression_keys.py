"""Which segments an impression is in: a key for each kind of segment that a report asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from esmm_dist.arrays import I64, Bools
from esmm_dist.errors import ConfigError
from esmm_dist.inference.learned_ids import of_impressions
from esmm_dist.inference.popularity import GROUPS, ItemGroups
from esmm_dist.inference.value_texts import KeptTexts
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.one_hot_ids import OneHotIds
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_ids import field_of_name

KNOWN, UNSEEN_USER = 1, 0


class KeyKind(Protocol):
    """One kind of segment."""

    @property
    def most(self) -> int:
        """Keys that have a segment of their own."""

    def of(self, batch: GroupedBatch, known: Mapping[str, Bools]) -> I64:
        """Return the key of each impression, int64 [B]; -1: none."""


class ValueKeys:
    """The values of one field: their feature ids."""

    def __init__(self, schema: Schema, field: Field, most: int, texts: KeptTexts | None) -> None:
        """Choose the field.

        Args:
            schema: schema of the batches
            field: a one-hot field
            most: number of values that have a segment of their own, the most frequent ones
            texts: receives the texts of the values, where records hold them
        """
        self.field, self.most, self.texts = field, most, texts
        self._ids = OneHotIds(schema, field)

    def of(self, batch: GroupedBatch, known: Mapping[str, Bools]) -> I64:
        """Return the feature id of each impression."""
        ids = self._ids.of(batch)
        if self.texts is not None and batch.sample_names is not None:
            self.texts.add(ids, batch.sample_names)
        return ids


@dataclass(frozen=True, kw_only=True)
class KnownUserKeys:
    """Whether the model has learned the id of the user: ``KNOWN`` or ``UNSEEN_USER``."""

    field: Field
    most: int = 2

    def of(self, batch: GroupedBatch, known: Mapping[str, Bools]) -> I64:
        """Return the key of each impression."""
        return of_impressions(known, self.field, batch).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class PopularityKeys:
    """How popular the item is: the group of ``ItemGroups``."""

    ids: OneHotIds
    field: Field
    items: ItemGroups
    most: int = len(GROUPS) + 1

    def of(self, batch: GroupedBatch, known: Mapping[str, Bools]) -> I64:
        """Return the key of each impression."""
        return self.items.of(self.ids.of(batch))


class ImpressionKeys:
    """The keys of all kinds that a report asks for. One thread uses it."""

    def __init__(self, kinds: Mapping[str, KeyKind]) -> None:
        """Remember the kinds by their names."""
        self.kinds = dict(kinds)

    @property
    def most(self) -> list[int]:
        """For each kind, how many of its keys have a segment of their own."""
        return [kind.most for kind in self.kinds.values()]

    def of(self, batch: GroupedBatch, known: Mapping[str, Bools]) -> tuple[I64, ...]:
        """Return the keys of a batch, int64 [B] a kind.

        Args:
            batch: a rank's share of a batch
            known: for each field whether its list holds an id that the model has learned, from ``LearnedIds.add``
        """
        return tuple(kind.of(batch, known) for kind in self.kinds.values())


def one_hot_field(schema: Schema, name: str, *, setting: str) -> Field:
    """Return the one-hot field that a setting names, by name or alias.

    Raises:
        ConfigError: There is no such field, or it is multi-hot.
    """
    field = field_of_name(schema, name)
    if field.multi_hot:
        one_hot = ", ".join(each.name for each in schema.fields if not each.multi_hot)
        raise ConfigError(
            f"{setting} names '{name}', a multi-hot field of schema '{schema.name}': an impression has several of its "
            f"values, and belongs to none alone. Name a one-hot field: {one_hot}."
        )
    return field


def item_field(schema: Schema, name: str | None) -> Field | None:
    """Return the field of the item: the named one, or the first one-hot field of items; None: there is none.

    Raises:
        ConfigError: There is no such field, or it is multi-hot.
    """
    if name is not None:
        return one_hot_field(schema, name, setting="item_field")
    return next((each for each in schema.fields if each.owner == "item" and not each.multi_hot), None)
