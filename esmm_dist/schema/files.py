"""Read a schema from a shipped preset or from a user's YAML file."""

from esmm_dist.schema.fields import Schema


def load_schema(name_or_path: str) -> Schema:
    """Read a shipped schema by name, or a schema file by path; as ``Schema.from_yaml``."""
    return Schema.from_yaml(name_or_path)
