"""What names the content of a served model.

The id is a BLAKE2b digest over

- what the answers depend on beside the rows, as JSON with sorted keys: the schema with its edges, ``seen_fields``,
  ``lists``, ``uses_norms``, ``calibrated``, ``seed``, the settings of the export, and the digest of the towers' weights
  that the export gives;
- of each table, in the order of the schema: its name, row type and dimension, and a digest each of its start rows, and
  of the ids, values and scales of all its rows in the order (bucket, id).

How rows are cut into shards, and whether they came by deltas, is not in it: a full export and a base with its deltas
have one id if they hold the same rows. Run and step are not, either.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, Array, Ids
from esmm_dist.served_model.manifest import RowType

_DIGEST_BYTES = 16


class TableDigest:
    """Digest of all rows of a table, which come in the order (bucket, id)."""

    def __init__(self, name: str, row_type: RowType, start_rows: F32) -> None:
        """Begin without rows.

        Args:
            name: name of the table
            row_type: how its rows are stored
            start_rows: float32 [2^16, D]
        """
        self._about = [name, row_type, int(start_rows.shape[1])]
        self._parts = {name: hashlib.blake2b(digest_size=_DIGEST_BYTES) for name in ("ids", "values", "scales")}
        self._start_rows = hashlib.blake2b(start_rows.data, digest_size=_DIGEST_BYTES).hexdigest()

    def add(self, ids: Ids, values: Array, scales: F32 | None) -> None:
        """Add the next rows in stored form."""
        for name, array in (("ids", ids), ("values", values), ("scales", scales)):
            if array is not None and array.size:
                self._parts[name].update(np.ascontiguousarray(array).data)

    def content(self) -> list[Any]:
        """Return what the model's id is made of."""
        return [*self._about, self._start_rows, *(part.hexdigest() for part in self._parts.values())]


def model_id_of(content: Mapping[str, Any], tables: Sequence[TableDigest]) -> str:
    """Return the id of a model: 32 hexadecimal digits.

    Args:
        content: what the answers depend on beside the rows, as plain values
        tables: digests of its tables, in the order of the schema
    """
    text = json.dumps([dict(content), [table.content() for table in tables]], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
