"""Find one impression of a data set, by its number or by the text that names it."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.errors import InputDataError
from esmm_dist.escaped import one_line
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.progress import Progress
from esmm_dist.report.importance.lists_of_batch import one_impression
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.impression_text import END_OF_NAME, name_of
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.words import in_words

if TYPE_CHECKING:
    from esmm_dist.input.pipeline import BatchReader


_ORDER = ("test", "validation", "train")


@dataclass(frozen=True, kw_only=True)
class FoundImpression:
    """One impression of a split."""

    split: str
    impression: GroupedBatch
    """One group with one impression, with its text where the data set has texts"""


@dataclass(kw_only=True)
class _Searched:
    """What a split that lacks the impression holds."""

    impressions: int = 0
    least: int | None = None
    most: int | None = None
    example: bytes = b""

    def add(self, batch: GroupedBatch) -> None:
        if not batch.num_impressions:
            return
        self.impressions += batch.num_impressions
        ends = int(batch.sample_ids.min()), int(batch.sample_ids.max())
        self.least = ends[0] if self.least is None else min(self.least, ends[0])
        self.most = ends[1] if self.most is None else max(self.most, ends[1])
        if batch.sample_names is not None and not self.example:
            self.example = name_of(batch.sample_names[0])

    def shown(self, split: str) -> str:
        if self.least is None:
            return f"{split} (no impression)"
        if self.example:
            ids = f"such as {one_line(self.example.decode(errors='replace'))[:60]}"
        else:
            ids = f"{self.least} .. {self.most}"
        return f"{split} ({self.impressions:,} impressions: {ids})"


def splits_to_search(manifest: DatasetManifest, named: str | None) -> list[str]:
    """Return the splits of a data set in the order in which they are searched: the one that is named, or test first."""
    return (
        [named]
        if named is not None
        else sorted(manifest.splits, key=lambda split: _ORDER.index(split) if split in _ORDER else len(_ORDER))
    )


def find_impression(
    open_reader: Callable[[str], "BatchReader"],
    manifest: DatasetManifest,
    splits: Sequence[str],
    sample_id: str,
    progress: Progress,
) -> FoundImpression:
    """Read splits until the impression comes.

    Where texts name impressions, the number that a text has in the records counts too, if no text is equal.

    Args:
        open_reader: opens a split, with texts
        manifest: manifest of the data set
        splits: the splits, in the order in which they are read
        sample_id: number or text of the impression
        progress: receives impressions that were read

    Raises:
        InputDataError: No impression has this number or text, or a shard is damaged.
    """
    schema, has_texts = manifest.schema, manifest.schema.has_text_sample_ids
    number = int(sample_id) if sample_id.isascii() and sample_id.isdigit() and int(sample_id) < 2**63 else None
    by_number: FoundImpression | None = None
    searched: dict[str, _Searched] = {}
    for split in splits:
        reader = open_reader(split)
        searched[split] = _Searched()
        progress.start(f"Looking in {split}", manifest.splits[split].impressions, "impressions")
        try:
            with closing(reader.epoch(0, seed=None)) as batches:
                for batch in batches:
                    searched[split].add(batch)
                    place = _place_of_text(batch, sample_id) if has_texts else _place_of_number(batch, number)
                    if place is not None:
                        return _found(split, batch, schema, place)
                    if has_texts and by_number is None and (place := _place_of_number(batch, number)) is not None:
                        by_number = _found(split, batch, schema, place)
                    progress.advance(batch.num_impressions)
        finally:
            progress.finish()
    if by_number is not None:
        return by_number
    where = in_words([each.shown(split) for split, each in searched.items()])
    raise InputDataError(
        f"No impression has sample_id '{sample_id}' in {where}. esmm predict --split SPLIT writes the ids of all "
        "impressions of a split."
    )


def _found(split: str, batch: GroupedBatch, schema: Schema, place: int) -> FoundImpression:
    return FoundImpression(split=split, impression=one_impression(batch, schema, place))


def _place_of_number(batch: GroupedBatch, number: int | None) -> int | None:
    if number is None:
        return None
    places = np.flatnonzero(batch.sample_ids == number)
    return int(places[0]) if len(places) else None


def _place_of_text(batch: GroupedBatch, text: str) -> int | None:
    assert batch.sample_names is not None  # the reader reads them
    name = text.encode()
    beginning = name + END_OF_NAME
    found = (i for i, each in enumerate(batch.sample_names) if each == name or each.startswith(beginning))
    return next(found, None)
