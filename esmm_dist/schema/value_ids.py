"""The feature id of a value as people know it, in whichever form the log is."""

import numpy as np

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id, value_text
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.number_text import finite_number_of, with_point

_BETWEEN_PARTS = ","
_MOST = 2**63 - 1


def id_of_value(schema: Schema, field: str, value: str) -> int:
    """Return the feature id of a value of a field, as ``esmm preprocess`` gives it.

    Args:
        schema: schema of the log
        field: name or alias of the field
        value: the value as the log has it; of a cross the values of its parts between commas; in the Ali-CCP form the
            feature id itself

    Raises:
        ConfigError: There is no such field, or the value has no id.
    """
    found = field_of_name(schema, field)
    if schema.flat_source is not None:
        id_ = _id_in_flat_log(schema, found, with_point(value) if schema.flat_source.decimal == "," else value)
        if id_ is None:
            raise ConfigError(f"value is '{value}', which stands for a missing one in a log and has no feature id.")
        return id_
    if not (value.isascii() and value.isdigit() and int(value) <= _MOST):
        raise ConfigError(
            f"value is '{value}', but feature ids of the Ali-CCP form are whole numbers, 0 .. 2^63 - 1. Give one."
        )
    return int(value)


def _id_in_flat_log(schema: Schema, field: Field, value: str) -> int | None:
    """Return the id of a value; None if it has none."""
    if field.cross:
        values = value.split(_BETWEEN_PARTS)
        if len(values) != len(field.cross):
            raise ConfigError(
                f"value is '{value}', but '{field.name}' is a cross of {len(field.cross)} fields. Give a value of each "
                f"of {', '.join(field.cross)}, with commas between them."
            )
        parts = [schema.field(name) for name in field.cross]
        given = [value_text(each) is not None for each in values]
        ids = [_id_in_flat_log(schema, part, each) for part, each in zip(parts, values, strict=True)]
        if field.missing == "none" and not all(given):
            return None
        return cross_id(
            field.name,
            [missing_id(part.id_space) if id_ is None else id_ for part, id_ in zip(parts, ids, strict=True)],
        )
    id_ = _id_of_number(field, value) if field.numeric is not None else feature_id(field.id_space, value)
    return missing_id(field.id_space) if id_ is None and field.missing == "id" else id_


def _id_of_number(field: Field, value: str) -> int | None:
    assert field.numeric is not None  # the caller asked
    if value_text(value.strip()) is None:
        return None
    number = finite_number_of(value.strip())
    if number is None:
        raise ConfigError(f"value is '{value}', but '{field.name}' is numeric. Give a finite number.")
    return int(field.numeric.ids(field.name)[field.numeric.of(np.array([number]))[0]])


def field_of_name(schema: Schema, name: str) -> Field:
    """Return the field of a name or alias.

    Raises:
        ConfigError: There is none.
    """
    found = [each for each in schema.fields if name in (each.name, each.alias)]
    exact = [each for each in found if each.name == name]
    if not found:
        known = {name for each in schema.fields for name in (each.name, each.alias)}
        raise ConfigError(f"Schema '{schema.name}' has no field '{name}'.{nearest_hint(name, known)}")
    if not exact and len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise ConfigError(f"'{name}' is the alias of several fields. Give the name of one: {names}.")
    return (exact or found)[0]
