"""Count the impressions that hold an id that the model has learned, field by field, while they are scored.

A row that was never updated is the start row of its id, bit for bit, wherever rows lie: so the rows that were pulled
for scoring show which ids are learned, without another request.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from esmm_dist.arrays import F32, I64, Bools
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.kernels.learned_rows import differing_rows, lists_with
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Field


class LearnedIds:
    """Counts impressions over batches. One thread uses it."""

    def __init__(self, fields: Sequence[Field], starts: Mapping[str, StartValues]) -> None:
        """Begin with none.

        Args:
            fields: the fields that the model sees
            starts: start values of each table
        """
        self._fields, self._starts = fields, starts
        self._impressions = 0
        self._with_ids = np.zeros(len(fields), np.int64)
        self._with_known = np.zeros(len(fields), np.int64)

    def add(self, batch: GroupedBatch, lookups: Mapping[str, TableLookup], rows: Mapping[str, F32]) -> dict[str, Bools]:
        """Count the impressions of one batch.

        Args:
            batch: a rank's share of a batch
            lookups: its unique ids, by table
            rows: rows that were pulled for them, float32 [U, D] by table

        Returns:
            For each field that the model sees whether its list holds a known id: bool [G] for a user field, bool [B]
            for any other; see ``of_impressions``.
        """
        held: dict[str, Bools] = {}
        self._impressions += batch.num_impressions
        for table, lookup in lookups.items():
            starts, known = self._starts[table], np.empty(len(lookup.ids), np.bool_)
            pulled = np.require(rows[table], requirements="W")  # a kernel takes no read-only array, as servers' are
            differing_rows(pulled, starts.choices, starts.picks(lookup.ids), known)
            begins = lookup.begins[: lookup.num_field_segments + 1]
            with_known = np.empty(lookup.num_field_segments, np.bool_)
            lists_with(begins, lookup.places, known, with_known)
            self._count(self._with_ids, _by_field(batch, lookup, begins[1:] > begins[:-1]), batch)
            found = _by_field(batch, lookup, with_known)
            self._count(self._with_known, found, batch)
            held |= found
        return held

    def counts(self, world: World) -> dict[str, tuple[int, int, int]]:
        """Return for each field, over all ranks, its impressions: all, with ids, with ids that are known."""
        own = {"all": self._impressions, "ids": self._with_ids.tolist(), "known": self._with_known.tolist()}
        ranks = world.gather_values(own)
        impressions = sum(rank["all"] for rank in ranks)
        ids, known = (np.sum([rank[name] for rank in ranks], axis=0).tolist() for name in ("ids", "known"))
        return {f.name: (impressions, ids[i], known[i]) for i, f in enumerate(self._fields)}

    def _count(self, counts: I64, held: Mapping[str, Bools], batch: GroupedBatch) -> None:
        """Add to each field's count the impressions whose list, of ``_by_field``, is true."""
        for place, field in enumerate(self._fields):
            if field.name in held:  # else it is of another table
                values = held[field.name]
                counts[place] += int(batch.impressions_per_group @ values if field.owner == "user" else values.sum())


def _by_field(batch: GroupedBatch, lookup: TableLookup, held: Bools) -> dict[str, Bools]:
    """Return the values of a lookup's whole fields, by field: bool [G] of a user field, [B] of any other."""
    of_users = batch.num_groups * len(lookup.user_fields)
    users = held[:of_users].reshape(batch.num_groups, len(lookup.user_fields))
    own = held[of_users:].reshape(batch.num_impressions, len(lookup.impression_fields))
    return {
        **{name: users[:, place] for place, name in enumerate(lookup.user_fields)},
        **{name: own[:, place] for place, name in enumerate(lookup.impression_fields)},
    }


def of_impressions(held: Mapping[str, Bools], field: Field, batch: GroupedBatch) -> Bools:
    """Return for each impression what ``held`` says of its list in one field: bool [B].

    Args:
        held: from ``LearnedIds.add``
        field: a field that the model sees
        batch: the batch that it was made of
    """
    values = held[field.name]
    return np.repeat(values, batch.impressions_per_group) if field.owner == "user" else values
