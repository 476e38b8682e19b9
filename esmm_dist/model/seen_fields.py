"""Which fields of a schema a model sees: the setting ``fields``."""

from collections.abc import Collection

from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_ids import field_of_name


def seen_fields(schema: Schema, names: Collection[str]) -> tuple[Field, ...]:
    """Return the fields that a model sees, as the schema lists them.

    Args:
        schema: schema of the data set
        names: names or aliases; none: all fields

    Raises:
        ConfigError: The schema has no field of one of the names, or two of them name the same field.
    """
    try:
        chosen = [field_of_name(schema, name).name for name in names]
    except ConfigError as e:
        raise ConfigError(f"fields: {e}") from e
    for place, field in enumerate(chosen):
        if field in chosen[:place]:
            first, second = list(names)[chosen.index(field)], list(names)[place]
            also = f", which is also '{first}'" if first != second else ""
            raise ConfigError(f"fields names '{second}' twice{also}. Leave one out.")
    return tuple(field for field in schema.fields if not chosen or field.name in chosen)
