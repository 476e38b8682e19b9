"""The feature id of a value as people know it, in whichever form the log is."""

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema

_MOST = 2**63 - 1


def id_of_value(schema: Schema, field: str, value: str) -> int:
    """Return the feature id of a value of a field, as ``esmm preprocess`` gives it.

    Args:
        schema: schema of the log
        field: name or alias of the field
        value: the value as the log has it; in the Ali-CCP form the feature id itself

    Raises:
        ConfigError: There is no such field, or the value has no id.
    """
    found = field_of_name(schema, field)
    if schema.flat_source is not None:
        id_ = feature_id(found.id_space, value)
        if id_ is None:
            raise ConfigError(f"value is '{value}', which stands for a missing one in a log and has no feature id.")
        return id_
    if not (value.isascii() and value.isdigit() and int(value) <= _MOST):
        raise ConfigError(
            f"value is '{value}', but feature ids of the Ali-CCP form are whole numbers, 0 .. 2^63 - 1. Give one."
        )
    return int(value)


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
