"""Read the schema that a data set or a checkpoint holds, of this version or an older one."""

from collections.abc import Mapping
from typing import Any

OLD_ID_HASH = "blake2b"
"""Hash of the ids of flat logs in files that do not name it: those of version 0.1.0."""


def with_old_meaning(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest's mapping with what its schema leaves unsaid set to what that meant when it was written.

    - The feature ids of flat logs are by the hash of version 0.1.0.
    - Labels are names, each after the one listed before it: a stored label ``buy after click`` is called so.

    A schema file of a user, which means this version's hash and may say ``after`` in its labels, does not go through
    here.
    """
    schema = manifest.get("schema")
    if not isinstance(schema, Mapping):
        return dict(manifest)
    meant: dict[str, Any] = {"after": {}, **schema}
    source = schema.get("source")
    if isinstance(source, Mapping) and source.get("form") == "flat":
        meant["source"] = {"id_hash": OLD_ID_HASH, **source}
    return {**manifest, "schema": meant}
