"""Read the schema that a data set or a checkpoint holds, of this version or an older one."""

from collections.abc import Mapping
from typing import Any

OLD_ID_HASH = "blake2b"
"""Hash of the ids of flat logs in files that do not name it: those of version 0.1.0."""


def with_named_hash(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest's mapping with the hash of the feature ids named in its schema, where it should be.

    A schema file of a user, which means this version's hash, does not go through here.
    """
    schema = manifest.get("schema")
    source = schema.get("source") if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(source, Mapping) or source.get("form") != "flat":
        return dict(manifest)
    return {**manifest, "schema": {**schema, "source": {"id_hash": OLD_ID_HASH, **source}}}
