"""The names under which a request gives the values of a log's columns: to an exported model, and to ``esmm serve``."""

import re
from collections import Counter
from dataclasses import dataclass

from esmm_dist.schema.fields import Field, Schema

IMPRESSIONS_PER_GROUP = "impressions_per_group"

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class ColumnInputs:
    """The inputs of one column."""

    value: str
    """Name of the input with the values: string, or float64 where the field is numeric."""
    lengths: str | None
    """Name of the input with the number of values of each row, int64; None: each row has one."""
    weights: str | None
    """Name of the input with the weight of each value, float32; None: 1."""


def spoken_names(schema: Schema) -> dict[str, str]:
    """Return under which name each field is spoken of, by its own: its alias where no other field has that one."""
    aliases = Counter(field.alias for field in schema.fields) + Counter(field.name for field in schema.fields)
    return {field.name: field.alias if aliases[field.alias] == 1 else field.name for field in schema.fields}


def time_column(schema: Schema) -> str:
    """Return the name of the time among the columns of a request; it is one of its own where a field has its name."""
    source = schema.flat_source
    assert source is not None  # only flat logs have columns
    assert source.time is not None  # the caller asked for its hour
    is_field = any(field.is_column and field.name == source.time for field in schema.fields)
    return f"{source.time} (time)" if is_field else source.time


def named_inputs(schema: Schema) -> dict[str, ColumnInputs]:
    """Name the inputs after the fields, or by aliases where only those begin with a letter (``101``: ``user_id``).

    In other names, what is no letter, digit or underscore becomes an underscore. No name comes twice.
    """
    taken = {IMPRESSIONS_PER_GROUP}

    def free(name: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = plain if _PLAIN_NAME.fullmatch(plain) else f"f_{plain}"
        number, unique = 1, plain
        while unique in taken:
            number += 1
            unique = f"{plain}_{number}"
        taken.add(unique)
        return unique

    columns = [field for field in schema.fields if field.is_column]
    of_time = [time_column(schema)] if any(field.of_time for field in schema.fields) else []
    # Those that are plain names, and values before lengths and weights, keep their names
    asked = {field.name: _plainer(field) for field in columns} | {name: name for name in of_time}
    values = {name: free(asked[name]) for name in sorted(asked, key=lambda name: not _PLAIN_NAME.fullmatch(name))}
    found = {
        field.name: ColumnInputs(
            value=values[field.name],
            lengths=free(f"{values[field.name]}_lengths") if field.multi_hot else None,
            weights=free(f"{values[field.name]}_weights") if field.weighted else None,
        )
        for field in columns
    }
    return found | {name: ColumnInputs(value=values[name], lengths=None, weights=None) for name in of_time}


def _plainer(field: Field) -> str:
    by_alias = _PLAIN_NAME.fullmatch(field.alias) and not _PLAIN_NAME.match(field.name)
    return field.alias if by_alias else field.name
