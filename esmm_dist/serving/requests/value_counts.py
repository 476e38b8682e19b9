"""How many values each field has in requests: what a count of unknown ids is a share of."""

from collections import Counter
from collections.abc import Mapping, Sequence

from esmm_dist.arrays import I64
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_inputs import spoken_names
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm

_LEAVES_UNKNOWN_OUT: tuple[RequestForm, ...] = ("short", "values")
"""Forms of values, in whose batches ids without a row are not; packed ids and records keep theirs."""


def value_counts(form: RequestForm, asked: AskedRequest, schema: Schema) -> Counter[str]:
    """Return the number of values of each field that has some, by its spoken name, those of unknown ids among them."""
    names = _names_of(schema)
    counts = Counter(
        {
            **_counts(schema.user_fields, asked.batch.user_lengths, names),
            **_counts(schema.impression_fields, asked.batch.impression_lengths, names),
        }
    )
    if form in _LEAVES_UNKNOWN_OUT:
        counts.update(asked.unknown)
    return counts


def _names_of(schema: Schema) -> Mapping[str, str]:
    """Return the spoken names of a schema, which are made once for all requests of it."""
    global _made
    of, names = _made
    if of is not schema:
        names = spoken_names(schema)
        _made = schema, names
    return names


_made: tuple[Schema | None, Mapping[str, str]] = None, {}


def _counts(fields: Sequence[Field], lengths: I64, names: Mapping[str, str]) -> dict[str, int]:
    if not fields:
        return {}
    of_field = lengths.reshape(-1, len(fields)).sum(axis=0).tolist()
    return {names[field.name]: count for field, count in zip(fields, of_field, strict=True) if count}
