"""Count the impressions that hold an id that the model has learned, field by field, while they are scored.

A row that was never updated is the start row of its id, bit for bit, wherever rows lie: so the rows that were pulled
for scoring show which ids are learned, without another request.
"""

from collections.abc import Mapping

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.input.batch import GroupedBatch
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

    def add(self, batch: GroupedBatch, lookups: Mapping[str, TableLookup], rows: Mapping[str, F32]) -> None:
        """Count the impressions of one batch.

        Args:
            batch: a rank's share of a batch
            lookups: its unique ids, by table
            rows: rows that were pulled for them, float32 [U, D] by table
        """
        self._impressions += batch.num_impressions
        for table, lookup in lookups.items():
            known = (rows[table] != self._starts[table].rows(lookup.ids)).any(axis=1)
            segments, places = lookup.segments, lookup.places
            self._with_ids += self._counted(batch, table, segments)
            self._with_known += self._counted(batch, table, segments[known[places]])

    def counts(self, world: World) -> dict[str, tuple[int, int, int]]:
        """Return for each field, over all ranks, its impressions: all, with ids, with ids that are known."""
        own = {"all": self._impressions, "ids": self._with_ids.tolist(), "known": self._with_known.tolist()}
        ranks = world.gather_values(own)
        impressions = sum(rank["all"] for rank in ranks)
        ids, known = (np.sum([rank[name] for rank in ranks], axis=0).tolist() for name in ("ids", "known"))
        return {f.name: (impressions, ids[i], known[i]) for i, f in enumerate(self._schema.fields)}

    def _counted(self, batch: GroupedBatch, table: str, segments: I64) -> I64:
        """Count for each field of the schema the impressions whose segment is among those given: int64 [F]."""
        user = [f for f in self._schema.user_fields if f.table == table]
        own = [f for f in self._schema.impression_fields if f.table == table]
        of_users = batch.num_groups * len(user)
        held = np.zeros(of_users + batch.num_impressions * len(own), np.bool_)
        held[segments] = True
        found = np.zeros(len(self._schema.fields), np.int64)
        found[self._places(user)] = batch.impressions_per_group @ held[:of_users].reshape(batch.num_groups, len(user))
        found[self._places(own)] = held[of_users:].reshape(batch.num_impressions, len(own)).sum(axis=0)
        return found

    def _places(self, fields: list[Field]) -> list[int]:
        return [self._schema.fields.index(field) for field in fields]
