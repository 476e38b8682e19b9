"""The identity of a data set: what tells whether a model has seen it, wherever it lies."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from esmm_dist.schema.differences import deciding_mapping
from esmm_dist.schema.manifest import DatasetManifest


def data_set_id(manifest: DatasetManifest) -> str:
    """Return 16 hex digits that data sets of the same schema and the same record files share, and no others.

    Neither the folder nor the time decides. A copy, also in an object store, and the same logs preprocessed again with
    the same settings are the same data set. (Two kinds of processors may compress the same records to different bytes;
    their data sets differ.) Settings of a schema that are not set do not count, so that a setting that a later version
    adds changes no identity.
    """
    shards = [
        (name, shard.path, shard.file_bytes, shard.crc32c)
        for name, split in sorted(manifest.splits.items())
        for shard in split.shards
    ]
    text = json.dumps([_set(deciding_mapping(manifest.schema)), shards], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _set(value: Any) -> Any:
    """Return a value without members that are not set: None, False, empty."""
    if isinstance(value, Mapping):
        kept = {key: _set(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, False, "", [], {})}
    return [_set(each) for each in value] if isinstance(value, list | tuple) else value
