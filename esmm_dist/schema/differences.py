"""What differs between two schemas, setting by setting, for messages that refuse one of them.

Which field attends to a list (``attended_by``) is never a difference: it decides neither what records hold nor what
they mean, so that a data set from before it was set, or with another one, is as good.
"""

from collections.abc import Mapping
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.schema.fields import Schema


def schema_differences(now: Schema, before: Schema, *, before_is: str = "was") -> list[str]:
    """Return a phrase for each setting that differs, such as ``fields.tags.combiner is 'sum', was 'mean'``.

    Args:
        now: one schema
        before: the other schema
        before_is: words before the other's value: "was", or "the model has"
    """
    return _phrases(_flat(now), _flat(before), before_is)


def record_differences(now: Schema, before: Schema, *, before_is: str = "was") -> list[str]:
    """Return the same for the settings alone that decide what a record means to a model.

    These are the labels, the fields and their order, and the form of the log, which decides how values become feature
    ids; and the time zone, if a field is the hour or the weekday of a time. Where the files are, how their columns are
    called, and what the schema and its fields are called in reports make no difference to a model.
    """
    return _phrases(_of_records(now), _of_records(before), before_is)


def deciding_mapping(schema: Schema) -> dict[str, Any]:
    """Return a schema as ``to_mapping`` does, without the settings that decide nothing of what preprocess writes."""
    mapping = to_mapping(schema)
    for field in mapping["fields"]:
        del field["attended_by"]
    return mapping


def _flat(schema: Schema) -> dict[str, Any]:
    mapping = deciding_mapping(schema)
    fields = {str(field.pop("name")): field for field in mapping.pop("fields")}
    order = {"order of fields": [f.name for f in (*schema.user_fields, *schema.impression_fields)]}
    return dict(_leaves({**mapping, "fields": fields})) | order


def _of_records(schema: Schema) -> dict[str, Any]:
    form = {"source.form": "flat" if schema.flat_source is not None else "aliccp"}  # joined events are a flat log
    decides = ["source.time_zone"] if any(field.of_time for field in schema.fields) else []
    return form | {
        key: value
        for key, value in _flat(schema).items()
        if key in decides or not (key == "name" or key.startswith("source.") or key.endswith(".alias"))
    }


def _leaves(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, each in value.items():
        found += _leaves(each, f"{prefix}{key}.") if isinstance(each, Mapping) else [(f"{prefix}{key}", each)]
    return found


def _phrases(now: Mapping[str, Any], before: Mapping[str, Any], before_is: str) -> list[str]:
    missing = object()
    fields = _fields(now) ^ _fields(before)  # the order of fields tells that they are missing
    return [
        f"{key} is {_shown(now, key)}, {before_is} {_shown(before, key)}"
        for key in dict.fromkeys([*now, *before])
        if now.get(key, missing) != before.get(key, missing) and key.rpartition(".")[0] not in fields
    ]


def _fields(values: Mapping[str, Any]) -> set[str]:
    return {key.rpartition(".")[0] for key in values if key.startswith("fields.")}


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
