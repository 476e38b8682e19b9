"""The text of a feature id: of which value of the log it is a hash.

In the Ali-CCP form the id is all that the log has. Of a flat log these texts are known for certain, because their hash
is the id:

- buckets of a numeric field, and "no value" where that has an id;
- columns that the records keep as texts (``source.keep``);
- whole numbers and dates, which are few enough to be tried.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import chain

import numpy as np

from esmm_dist.arrays import I64, Objects
from esmm_dist.schema.feature_id import feature_id, hashed_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import kept_of

MOST_TEXTS = 100_000
"""Ids of a field whose kept texts are remembered, the first of the split: some 20 MB. Records stand in the order of a
hash, so that frequent values are among them."""

_WHOLE_NUMBERS = 1_000_000  # 0.5 s of hashes a field, and only if some id has no other text
_FIRST_DAY, _DAYS = date(2000, 1, 1), 365 * 50


def keeps_texts_of(schema: Schema, field: Field) -> bool:
    """Return whether records hold the texts of a field's values."""
    return schema.flat_source is not None and field.name in schema.flat_source.keep


class KeptTexts:
    """Remembers the texts of ids that pass by. One thread uses it."""

    def __init__(self, schema: Schema, field: Field) -> None:
        """Begin with none.

        Args:
            schema: schema of the data set
            field: a one-hot field whose texts the records keep
        """
        assert schema.flat_source is not None  # keeps_texts_of
        self._place = schema.flat_source.keep.index(field.name)
        self.by_id: dict[int, str] = {}

    def add(self, ids: I64, texts: Objects) -> None:
        """Remember the texts of impressions.

        Args:
            ids: int64 [B], their ids in the field
            texts: bytes [B], see ``impression_text``
        """
        if len(self.by_id) >= MOST_TEXTS:
            return
        found, first = np.unique(ids, return_index=True)
        for id_, place in zip(found.tolist(), first.tolist(), strict=True):
            if id_ not in self.by_id:
                kept = kept_of(texts[place])
                self.by_id[id_] = (kept[self._place] if self._place < len(kept) else None) or ""


def texts_of_ids(
    schema: Schema, field: Field, ids: Sequence[int], kept: dict[int, str], *, numbers: int = _WHOLE_NUMBERS
) -> dict[int, str]:
    """Return the texts of those ids whose texts are known.

    Args:
        schema: schema of the data set
        field: field of the ids
        ids: feature ids
        kept: texts that records hold for some ids
        numbers: whole numbers that are tried, from 0
    """
    if schema.flat_source is None or not ids:
        return {}
    found = {id_: text for id_, text in kept.items() if id_ in ids and feature_id(field.id_space, text) == id_}
    if field.missing == "id" and missing_id(field.id_space) in ids:
        found[missing_id(field.id_space)] = "no value"
    if field.numeric is not None:
        buckets = field.numeric.ids(field.name).tolist()
        return found | {id_: field.numeric.shown(place) for place, id_ in enumerate(buckets) if id_ in ids}
    if field.cross:
        return found
    wanted = set(ids) - set(found)
    begin = field.id_space.encode() + b"\0"
    for text in likely_texts(numbers) if wanted else ():
        id_ = hashed_id(begin + text.encode())  # of feature_id, whose value_text leaves these texts as they are
        if id_ in wanted:
            found[id_] = text
            wanted.remove(id_)
            if not wanted:
                break
    return found


def likely_texts(numbers: int = _WHOLE_NUMBERS) -> Iterator[str]:
    """Yield texts that are few enough to be tried: -1, true and false, dates, whole numbers from 0."""
    return chain(("-1", "true", "false"), _dates(), map(str, range(numbers)))


@cache
def _dates() -> tuple[str, ...]:
    """Return the days in two forms: 3 MB, kept because they are tried for each field."""
    days = (_FIRST_DAY + timedelta(days=day) for day in range(_DAYS))
    return tuple(text for day in days for text in (day.isoformat(), day.isoformat().replace("-", "")))
