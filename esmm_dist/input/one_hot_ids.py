"""The id that each impression of a batch has in a one-hot field."""

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Field, Schema

NO_ID = -1
"""Stands for an impression that has no id in the field; ids are 0 or more."""


class OneHotIds:
    """Finds the id of each impression in one field."""

    def __init__(self, schema: Schema, field: Field) -> None:
        """Choose the field.

        Args:
            schema: schema of the batches
            field: a one-hot field
        """
        self._of_user = field.owner == "user"
        fields = schema.user_fields if self._of_user else schema.impression_fields
        self._num_fields, self._place = len(fields), fields.index(field)

    def of(self, batch: GroupedBatch) -> I64:
        """Return the id of each impression, or ``NO_ID``: int64 [B]."""
        if self._of_user:
            return np.repeat(self.of_groups(batch), batch.impressions_per_group)
        return self._ids(batch.impression_ids, batch.impression_lengths)

    def of_groups(self, batch: GroupedBatch) -> I64:
        """Return the id of each group in a field of the users, or ``NO_ID``: int64 [G]."""
        assert self._of_user
        return self._ids(batch.user_ids, batch.user_lengths)

    def _ids(self, ids: I64, lengths: I64) -> I64:
        """Return the first id of the field in each row of ragged fields, or ``NO_ID``: int64 [rows]."""
        begins = np.cumsum(lengths) - lengths
        begin, length = begins[self._place :: self._num_fields], lengths[self._place :: self._num_fields]
        found = np.full(len(length), NO_ID)
        found[length > 0] = ids[begin[length > 0]]
        return found
