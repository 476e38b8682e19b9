"""The texts of the values of one impression, as far as they are known."""

from collections.abc import Iterator, Mapping

from esmm_dist.inference.value_texts import texts_of_ids
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.report.importance.lists_of_batch import list_of
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import kept_of

_NUMBERS = 100_000
"""Whole numbers that are tried for each field: 0.06 s"""

_BETWEEN = " × "


def texts_of_impression(schema: Schema, impression: GroupedBatch) -> dict[str, dict[int, str]]:
    """Return the texts of an impression's ids, by field.

    What the records keep counts first, then what can be tried (``texts_of_ids``); a cross has the texts of its parts.
    In the Ali-CCP form the id is all that there is, and its text.

    Args:
        schema: schema of the data set
        impression: from ``one_impression``, with its text where the data set has texts
    """
    if schema.flat_source is None:
        return {
            field.name: {id_: str(id_) for id_ in list_of(impression, schema, field)[0].tolist()}
            for field in schema.fields
        }
    kept = _kept(schema, impression)
    found = {}
    for field in schema.fields:
        ids = list_of(impression, schema, field)[0].tolist()
        own = {id_: text for text in _parts(schema, field, kept) if (id_ := feature_id(field.id_space, text)) in ids}
        found[field.name] = texts_of_ids(
            schema, field, ids, {id_: text for id_, text in own.items() if id_ is not None}, numbers=_NUMBERS
        )
    for field in schema.fields:
        if field.cross:
            found[field.name] |= _of_cross(schema, field, impression, found)
    return found


def _kept(schema: Schema, impression: GroupedBatch) -> dict[str, str]:
    """Return the columns of the log that the record keeps."""
    assert schema.flat_source is not None
    if impression.sample_names is None or not schema.flat_source.keep:
        return {}
    values = kept_of(impression.sample_names[0])
    return {name: value for name, value in zip(schema.flat_source.keep, values, strict=False) if value is not None}


def _parts(schema: Schema, field: Field, kept: Mapping[str, str]) -> Iterator[str]:
    """Yield what may be values of a field: its column, and the parts of a list, with and without their weights."""
    source = schema.flat_source
    assert source is not None
    text = kept.get(field.name)
    if text is None:
        return
    yield text
    if field.multi_hot:
        for part in text.split(source.list_separator):
            yield part.strip()
            yield part.rpartition(source.weight_separator)[0].strip()


def _of_cross(
    schema: Schema, field: Field, impression: GroupedBatch, found: Mapping[str, Mapping[int, str]]
) -> dict[int, str]:
    """Return the text of a cross: those of its parts, if its id is theirs and they are known."""
    ids, texts = [], []
    for name in field.cross:
        part = schema.field(name)
        of_part = list_of(impression, schema, part)[0].tolist()
        ids.append(of_part[0] if of_part else missing_id(part.id_space))
        texts.append(found[name].get(ids[-1], "no value" if not of_part else f"id {ids[-1]}"))
    crossed = cross_id(field.name, ids)
    return {crossed: _BETWEEN.join(texts)} if crossed in list_of(impression, schema, field)[0].tolist() else {}
