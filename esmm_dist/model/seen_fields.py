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
        ConfigError: The schema has no field of one of the names.
    """
    try:
        chosen = [field_of_name(schema, name).name for name in names]
    except ConfigError as e:
        raise ConfigError(f"fields: {e}") from e
    return tuple(field for field in schema.fields if not chosen or field.name in chosen)
