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
    names = spoken_names(schema)
    counts = _counts(schema.user_fields, asked.batch.user_lengths, names)
    counts += _counts(schema.impression_fields, asked.batch.impression_lengths, names)
    if form in _LEAVES_UNKNOWN_OUT:
        counts.update(asked.unknown)
    return counts


def _counts(fields: Sequence[Field], lengths: I64, names: Mapping[str, str]) -> Counter[str]:
    if not fields:
        return Counter()
    of_field = lengths.reshape(-1, len(fields)).sum(axis=0).tolist()
    return Counter(dict(zip((names[field.name] for field in fields), of_field, strict=True)))
