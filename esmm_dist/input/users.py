"""Who each impression was shown to: the users of GAUC."""

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.one_hot_ids import NO_ID, OneHotIds
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.fields import Field, Schema

NO_USER = NO_ID
"""User of an impression that has no id in the field; ids are 0 or more."""


class BatchUsers:
    """Finds the user of each impression of a batch.

    A user is an id of one field, not a user context: one person has many contexts where they hold what changes (an
    age, a history), as the common rows of Ali-CCP do.
    """

    def __init__(self, schema: Schema, field: str | None = None) -> None:
        """Choose the field.

        Args:
            schema: schema of the batches
            field: name of a one-hot field. None: the first one of the users; without one no user is known.

        Raises:
            ConfigError: There is no such field, or it is multi-hot.
        """
        one_hot = {each.name: each for each in schema.fields if not each.multi_hot}
        if field is not None and field not in one_hot:
            what = "a multi-hot field" if any(each.name == field for each in schema.fields) else "no field"
            raise ConfigError(
                f"gauc_field is '{field}', {what} of schema '{schema.name}'.{nearest_hint(field, one_hot)}"
            )
        of_users = [each for each in one_hot.values() if each.owner == "user"]
        self.field: Field | None = one_hot[field] if field is not None else next(iter(of_users), None)
        self._ids = OneHotIds(schema, self.field) if self.field is not None else None

    def of(self, batch: GroupedBatch) -> I64:
        """Return the id of each impression's user, or ``NO_USER``: int64 [B]."""
        return np.full(batch.num_impressions, NO_USER) if self._ids is None else self._ids.of(batch)

    def of_groups(self, batch: GroupedBatch) -> I64:
        """Return the id of each group's user, or ``NO_USER``; the field is one of the users: int64 [G]."""
        return np.full(batch.num_groups, NO_USER) if self._ids is None else self._ids.of_groups(batch)
