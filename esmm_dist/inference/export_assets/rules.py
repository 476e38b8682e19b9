"""``assets.extra/RULES.md``: how values become ids, for those who write a client of their own, in any language."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from esmm_dist.inference.export_assets.known_values import Values
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id, value_text
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP, named_inputs, time_column
from esmm_dist.served_model.manifest import ServedManifest

_TEXTS = ("u17", "007", "7.0", "1e+22", "True", "ø", " 7")


def rules(manifest: ServedManifest, known: Values) -> str:
    """Return the text.

    Args:
        manifest: manifest of the version
        known: some values of each category that the model knows
    """
    schema = manifest.schema
    parts = [_head(manifest), _fields(schema, manifest)]
    parts.append(_ids_of_flat_log(schema, known) if schema.flat_source is not None else _IDS_OF_THE_LOG)
    if schema.flat_source is not None:
        parts += [part for part in (_numbers(schema), _crosses(schema), _times(schema)) if part]
    parts += [_LISTS, _layout(schema)]
    return "\n".join(parts)


def _head(manifest: ServedManifest) -> str:
    return f"""# From values to ids: schema "{manifest.schema.name}", step {manifest.step}

The signature `values` and `esmm serve` do all of this themselves: give them values by name. This page is for a client
that makes ids of its own, for the signatures `features` and `serving_default`, and for whoever asks why an id is what
it is. A wrong id is no error: it reads as a value that was never seen. Check a client with the numbers below, and with
the requests and answers of `golden.json`.
"""


def _fields(schema: Schema, manifest: ServedManifest) -> str:
    inputs = named_inputs(schema)
    lines = [
        "## Fields\n",
        "| place | field | of | kind | inputs of `values` | ids of | combiner | at most | missing value |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for of, fields in (("user", schema.user_fields), ("impression", schema.impression_fields)):
        for place, field in enumerate(fields):
            column = inputs.get(field.name)
            given = [] if column is None else [column.value, column.lengths, column.weights]
            names = ", ".join(f"`{name}`" for name in given if name is not None) or "none: made of others"
            most = f"{field.max_ids} ids" if field.max_ids else ""
            missing = "an id of its own" if field.missing == "id" else "no id"
            seen = "" if field.name in manifest.seen_fields else " (no effect: the model does not see it)"
            combiner = field.combiner if field.multi_hot or field.weighted else ""
            lines.append(
                f"| {place} | {_cell(field.name)} | {of} | {_kind(field)}{seen} | {names} | {_cell(field.id_space)} | "
                f"{combiner} | {most} | {missing} |"
            )
    lines.append(
        f"\n`place` is that of the field in the lists of a user or an impression. `{IMPRESSIONS_PER_GROUP}` says how "
        "many impressions each user has.\n"
    )
    return "\n".join(lines)


def _kind(field: Field) -> str:
    if field.numeric is not None:
        return "number"
    if field.cross:
        return "cross of " + ", ".join(map(_cell, field.cross))
    if field.of_time is not None:
        return f"{field.of_time} of the time"
    return ("list" if field.multi_hot else "one value") + (", weighted" if field.weighted else "")


_IDS_OF_THE_LOG = """## Ids

The log has ids: an id is the whole number that stands there, 0 to 2^63 - 1, as int64. Numbers above 2^53 lose digits
where JSON is read into doubles. In the inputs of `values`, -1 stands for a missing one-hot value; in the short form of
`esmm serve`, `null` or nothing does. In lists -1 is passed over.
"""


def _ids_of_flat_log(schema: Schema, known: Values) -> str:
    vectors = []
    for field in schema.fields:
        if field.is_category and field.is_column:
            texts = [*known.get(field.name, [])[:2], *_TEXTS]
            vectors += [
                {"field": field.name, "value": text, "text": value_text(text), "id": feature_id(field.id_space, text)}
                for text in texts
            ]
            vectors.append({"field": field.name, "value": "", "text": "", "id": missing_id(field.id_space)})
    return f"""## Ids of categories

    id = Fingerprint64(UTF-8 of: name of the field in "ids of", a zero byte, the value's text) AND (2^63 - 1)

`Fingerprint64` is FarmHash's (Java: Guava's `Hashing.farmHashFingerprint64()`, whose `asLong()` is it; Go:
`farm.Fingerprint64` of `github.com/dgryski/go-farm`; TensorFlow: `tf.fingerprint`). The `AND` clears the sign bit.

The text of a value:

- an empty text, `NaN`, `nan`, a null: no value. Its id, where the table says "an id of its own", is that of the empty
  text
- `True`, `False` become `true`, `false`
- a whole number with a point and zeros (`-?(0|[1-9][0-9]*)\\.0+`) loses them, and a minus before 0: `7.0` is `7`
- a number with an exponent as programs write it, `-?[0-9]((\\.[0-9]+)?e[+-][0-9]{{2,3}}|\\.[0-9]+E-?[0-9]{{1,3}})`,
  becomes its digits without exponent: `1.5e+16` is `15000000000000000`, `1e-05` is `0.00001`
- numbers that are no texts: whole ones by their digits, others by the shortest decimal digits that read back as the
  same double, without exponent
- clock times (`HH:MM:SS`, with a date before it or not) lose zeros at the end of their fraction
- any other text stays as it is, byte by byte: `007`, `1.10`, ` 7`

{_json_block(vectors)}"""


def _numbers(schema: Schema) -> str:
    fields = [field for field in schema.fields if field.numeric is not None]
    if not fields:
        return ""
    lines, vectors = [], []
    for field in fields:
        assert field.numeric is not None  # chosen so
        edges = field.numeric.edges or ()
        lines.append(f"- {_cell(field.name)}: {json.dumps(list(edges))}")
        for number in _near(edges):
            bucket = sum(edge <= number for edge in edges)
            id_ = feature_id(field.name, str(bucket))
            vectors.append({"field": field.name, "value": number, "bucket": bucket, "id": id_})
        vectors.append({"field": field.name, "value": None, "bucket": None, "id": missing_id(field.name)})
    return f"""## Numbers

A number's bucket is how many of the field's edges are at most it, compared as doubles; a number nearer to 0 than
2.2250738585072014e-308 counts as 0. Its id is that of a category whose text is the bucket in decimal digits. NaN and
null are missing: the id of the empty text, where the table says "an id of its own". Infinite numbers are refused.

Edges, ascending:

{chr(10).join(lines)}

{_json_block(vectors)}"""


def _near(edges: Sequence[float]) -> list[float]:
    if not edges:
        return [0.0]
    first, last = edges[0], edges[-1]
    numbers = [math.nextafter(first, -math.inf), first, last, math.nextafter(last, math.inf)]
    return list(dict.fromkeys([*numbers, 0.0, -1e300, 1e300]))


def _crosses(schema: Schema) -> str:
    fields = [field for field in schema.fields if field.cross]
    if not fields:
        return ""
    vectors = []
    for field in fields:
        parts = [schema.field(name) for name in field.cross]
        present = [_id_of_first(part) for part in parts]
        ids = [[id_ for _, id_ in present]]
        values: list[list[Any]] = [[value for value, _ in present]]
        if field.missing == "id":
            ids.append([missing_id(parts[0].id_space), *ids[0][1:]])
            values.append([None, *values[0][1:]])
        for own_values, own in zip(values, ids, strict=True):
            vectors.append({"field": field.name, "values": own_values, "parts": own, "id": cross_id(field.name, own)})
    return f"""## Crosses

The id of a cross is that of a category with the cross's own name, whose text is the ids of its parts, in decimal
digits, in the order of the table, with commas between them. For a part without a value that is the id of its empty
text; where the table says "no id" of the cross, it has none as soon as a part has no value. An impression's cross takes
the user's parts from its user.

{_json_block(vectors)}"""


def _id_of_first(part: Field) -> tuple[Any, int]:
    """Return a value of a part of a cross, and its id."""
    if part.numeric is not None:
        number = (part.numeric.edges or (0.0,))[0]
        bucket = sum(edge <= number for edge in part.numeric.edges or ())
        found = feature_id(part.name, str(bucket))
        assert found is not None  # of digits
        return number, found
    found = feature_id(part.id_space, "1")
    assert found is not None  # of a digit
    return "1", found


def _times(schema: Schema) -> str:
    fields = [field for field in schema.fields if field.of_time is not None]
    if not fields:
        return ""
    assert schema.flat_source is not None  # only flat logs have times
    vectors = []
    for field in fields:
        for number in (0, 13, 23) if field.of_time == "hour" else (1, 7):
            vectors.append({"field": field.name, "value": number, "id": feature_id(field.name, str(number))})
    name = named_inputs(schema)[time_column(schema)].value
    return f"""## Times

`{name}` is the time of the impression: ISO 8601; or a number, which is a day (20240131) from 19000101 to 29991231,
else seconds, milliseconds, microseconds or nanoseconds since 1970 (below 10^11, 10^14, 10^17, above). A time without a
zone is one of `{schema.flat_source.time_zone}`, and hours and weekdays are counted there: 0 to 23, and 1 (Monday) to 7.
The id is that of a category whose text is this number in decimal digits; that of the empty text where the time is
missing.

{_json_block(vectors)}"""


_LISTS = """## Lists

- Missing values within a list are left out, and so are ids that the model has no row for; equal ids count each.
- Then the list is cut at the number of ids in the column "at most"; its beginning stays.
- A weight is a number of 0 or more, 1 where a field has none.
- Rows e with weights w become one vector: sum is Σ w·e, mean Σ w·e / Σ w, sqrtn Σ w·e / sqrt(Σ w²).
- `features` and records take any id: one without a row reads a start value there, which is near to nothing but not
  nothing. Leave such ids out to get the answers of `values`.
"""


def _layout(schema: Schema) -> str:
    weighted = "user_weights, impression_weights: float32, one for each id, where the schema has weighted fields"
    return f"""## The lists of `features`, and of records

- user_ids: int64, the ids of the first user's {len(schema.user_fields)} fields one after the other, then the next's
- user_lengths: int64, {len(schema.user_fields)} a user: how many of them belong to each field
- impression_ids, impression_lengths: the same for all impressions, {len(schema.impression_fields)} fields each
- {weighted}
- {IMPRESSIONS_PER_GROUP}: int64, one a user

A record is a `tf.train.Example` with these lists of one user (without {IMPRESSIONS_PER_GROUP}), and `sample_ids`,
int64, one an impression.
"""


def _json_block(vectors: Sequence[Mapping[str, Any]]) -> str:
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors)
    return f"```json\n[\n{lines}\n]\n```\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def vectors_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the worked examples of a text of rules."""
    for block in text.split("```json\n")[1:]:
        yield from json.loads(block.split("```")[0])
