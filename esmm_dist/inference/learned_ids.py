"""Count the impressions that hold an id that the model has learned, field by field, while they are scored.

A row that was never updated is the start row of its id, bit for bit, wherever rows lie: so the rows that were pulled
for scoring show which ids are learned, without another request.
"""

from collections.abc import Mapping

import numpy as np

from esmm_dist.arrays import F32, I64, Bools
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.kernels.learned_rows import differing_rows, lists_with
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Field, Schema


class LearnedIds:
    """Counts impressions over batches. One thread uses it."""

    def __init__(self, schema: Schema, starts: Mapping[str, StartValues]) -> None:
        """Begin with none.

        Args:
            schema: schema of the data set
            starts: start values of each table
        """
        self._schema, self._starts = schema, starts
        self._impressions = 0
        self._with_ids = np.zeros(len(schema.fields), np.int64)
        self._with_known = np.zeros(len(schema.fields), np.int64)

    def add(self, batch: GroupedBatch, lookups: Mapping[str, TableLookup], rows: Mapping[str, F32]) -> dict[str, Bools]:
        """Count the impressions of one batch.

        Args:
            batch: a rank's share of a batch
            lookups: its unique ids, by table
            rows: rows that were pulled for them, float32 [U, D] by table

        Returns:
            For each table whether each segment of a whole field holds a known id, bool [G·F_u + B·F_i]: see
            ``of_impressions``.
        """
        held = {}
        self._impressions += batch.num_impressions
        for table, lookup in lookups.items():
            starts, known = self._starts[table], np.empty(len(lookup.ids), np.bool_)
            pulled = np.require(rows[table], requirements="W")  # a kernel takes no read-only array, as servers' are
            differing_rows(pulled, starts.choices, starts.picks(lookup.ids), known)
            begins = lookup.begins[: lookup.num_field_segments + 1]
            with_known = np.empty(lookup.num_field_segments, np.bool_)
            lists_with(begins, lookup.places, known, with_known)
            self._with_ids += self._counted(batch, table, begins[1:] > begins[:-1])
            self._with_known += self._counted(batch, table, with_known)
            held[table] = with_known
        return held

    def counts(self, world: World) -> dict[str, tuple[int, int, int]]:
        """Return for each field, over all ranks, its impressions: all, with ids, with ids that are known."""
        own = {"all": self._impressions, "ids": self._with_ids.tolist(), "known": self._with_known.tolist()}
        ranks = world.gather_values(own)
        impressions = sum(rank["all"] for rank in ranks)
        ids, known = (np.sum([rank[name] for rank in ranks], axis=0).tolist() for name in ("ids", "known"))
        return {f.name: (impressions, ids[i], known[i]) for i, f in enumerate(self._schema.fields)}

    def _counted(self, batch: GroupedBatch, table: str, held: Bools) -> I64:
        """Count for each field of the schema the impressions whose segment is true: int64 [F].

        Args:
            batch: the batch
            table: name of the table
            held: bool [G·F_u + B·F_i], a value of each segment of a whole field
        """
        user = [f for f in self._schema.user_fields if f.table == table]
        own = [f for f in self._schema.impression_fields if f.table == table]
        of_users = batch.num_groups * len(user)
        found = np.zeros(len(self._schema.fields), np.int64)
        found[self._places(user)] = batch.impressions_per_group @ held[:of_users].reshape(batch.num_groups, len(user))
        found[self._places(own)] = held[of_users:].reshape(batch.num_impressions, len(own)).sum(axis=0)
        return found

    def _places(self, fields: list[Field]) -> list[int]:
        return [self._schema.fields.index(field) for field in fields]


def of_impressions(held: Mapping[str, Bools], schema: Schema, field: Field, batch: GroupedBatch) -> Bools:
    """Return for each impression what ``held`` says of its list in one field: bool [B].

    Args:
        held: for each table a value of each segment of a whole field, bool [G·F_u + B·F_i]
        schema: schema of the batch
        field: any field
        batch: the batch of the lookup
    """
    of_user = field.owner == "user"
    user = [f for f in schema.user_fields if f.table == field.table]
    of_users = batch.num_groups * len(user)
    if of_user:
        groups = held[field.table][:of_users].reshape(batch.num_groups, len(user))[:, user.index(field)]
        return np.repeat(groups, batch.impressions_per_group)
    own = [f for f in schema.impression_fields if f.table == field.table]
    return held[field.table][of_users:].reshape(batch.num_impressions, len(own))[:, own.index(field)]
