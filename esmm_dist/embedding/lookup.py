"""The ids of a batch, made ready for pull, pooling and push."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from esmm_dist.arrays import F32, I32, I64, Ids
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.kernels.lists import collect
from esmm_dist.kernels.pooling import count_impressions
from esmm_dist.kernels.unique import sorted_unique
from esmm_dist.schema.fields import COMBINER_POWER, Field, Schema


@dataclass(frozen=True, kw_only=True)
class TableLookup:
    """What a batch asks of one table.

    Pooling is the product of a sparse matrix [S, U] and the pulled rows [U, D]. A segment is one (group, user field) or
    (impression, impression field): first the G·F_u of the users, then the B·F_i of the impressions. A field that the
    model does not see has none. The combiner is already in the weights. The matrix stands here by rows, as pooling
    reads it, and by columns, as its gradient does; a plan without gradients leaves the columns empty.

    Behind these stand the elements of the lists that a network wants one by one: a segment each, of one id with weight
    1, list after list and within a list group after group. Their ids are in a user's segments too, and count once::

        G = 2, F_u = 2 (user, seen), B = 3, F_i = 1, and the list seen: (7 9) of group 0, (7) of group 1

        segment   0 user 0   1 seen 0   2 user 1   3 seen 1   4 5 6 items   7 8 seen of group 0   9 seen of group 1
    """

    user_fields: tuple[str, ...]
    """Names of the F_u user fields of the table that have segments, in their order"""
    impression_fields: tuple[str, ...]
    """Names of its F_i other fields"""
    ids: Ids
    """int64 [U], strictly ascending"""
    begins: I64
    """int64 [S + 1]: where each segment begins in ``places`` and ``weights``, and N"""
    places: I32
    """int32 [N]: place in ``ids`` of each id of the batch"""
    weights: F32
    """float32 [N]"""
    id_begins: I64
    """int64 [U + 1]: where each unique id begins in ``id_segments`` and ``id_weights``, and N"""
    id_segments: I32
    """int32 [N]: the segments that hold each unique id, ascending"""
    id_weights: F32
    """float32 [N]"""
    counts: Ids | None
    """int64 [U], impressions of the batch that hold each id; None where nobody counts them"""
    lists: Mapping[str, "ElementList"] = field(default_factory=dict)
    """The lists whose elements are segments, in the order of these"""

    @property
    def num_segments(self) -> int:
        """S."""
        return len(self.begins) - 1

    @property
    def num_elements(self) -> int:
        """Segments of single elements, the last ones."""
        return sum(len(each.weights) for each in self.lists.values())

    @property
    def num_field_segments(self) -> int:
        """G·F_u + B·F_i: segments of whole fields, the first ones."""
        return self.num_segments - self.num_elements

    @property
    def segments(self) -> I64:
        """The segment of each id of the batch, ascending: int64 [N]."""
        return np.repeat(np.arange(self.num_segments), np.diff(self.begins))


@dataclass(frozen=True, kw_only=True)
class ElementList:
    """One multi-hot field of the users, element by element."""

    lengths: I64
    """int64 [G]: elements of each group"""
    weights: F32
    """float32 [n]: the weight that each has in its pooled sum"""


class LookupPlan:
    """How the fields of a schema spread over its tables; turns batches into lookups.

    Stateless after construction, so several threads may call ``prepare``.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        seen_fields: Sequence[Field] | None = None,
        lists: Collection[str] = (),
        count_impressions: bool = False,
        with_gradients: bool = True,
    ) -> None:
        """Lay out the segments of each table.

        Args:
            schema: schema of the data set
            seen_fields: the fields that the model sees, the others have no segments; None: all
            lists: names of the users' fields that are looked up element by element too, if they are seen
            count_impressions: whether to fill ``TableLookup.counts``; without gradients it is left empty
            with_gradients: whether to fill ``id_begins``, ``id_segments`` and ``id_weights``; scoring needs none
        """
        self._tables = schema.tables
        self._count_impressions, self._with_gradients = count_impressions, with_gradients
        seen = schema.fields if seen_fields is None else seen_fields
        self._user_fields = _settings_of(schema.user_fields, schema.tables, seen)
        self._impression_fields = _settings_of(schema.impression_fields, schema.tables, seen)
        self._user_names = {
            table: tuple(f.name for f in seen if f.table == table and f.owner == "user") for table in schema.tables
        }
        self._impression_names = {
            table: tuple(f.name for f in seen if f.table == table and f.owner != "user") for table in schema.tables
        }
        self._lists = {
            table: {name: place for place, name in enumerate(names) if name in lists}
            for table, names in self._user_names.items()
        }

    def prepare(self, batch: GroupedBatch) -> dict[str, TableLookup]:
        """Find the unique ids of a batch and build the pooling matrix of each table."""
        return {table: self._lookup(batch, number) for number, table in enumerate(self._tables)}

    def _lookup(self, batch: GroupedBatch, table: int) -> TableLookup:
        name = self._tables[table]
        user_fields, impression_fields = self._user_names[name], self._impression_names[name]
        segments = batch.num_groups * len(user_fields) + batch.num_impressions * len(impression_fields)
        most = len(batch.user_ids) + len(batch.impression_ids)
        ids, weights, begins = np.empty(most, np.int64), np.empty(most, np.float32), np.zeros(segments + 1, np.int64)
        filled = np.zeros(2, np.int64)
        of_users = (batch.user_lengths, batch.user_ids, _given(batch.user_weights))
        of_impressions = (batch.impression_lengths, batch.impression_ids, _given(batch.impression_weights))
        for lists, settings in ((of_users, self._user_fields), (of_impressions, self._impression_fields)):
            collect(lists, settings, table, (ids, weights, begins[1:]), filled)
        count = int(filled[1])
        ids, weights = ids[:count], weights[:count]
        elements: dict[str, ElementList] = {}
        attended = self._lists[name]
        if attended:
            matrix = (ids, weights, begins)
            elements, ids, weights, begins = _with_elements(attended, batch.num_groups, len(user_fields), matrix)
            count, segments = len(ids), len(begins) - 1
        unique, id_begins = np.empty(count, np.int64), np.empty(count + 1, np.int64)
        places, order = np.empty(count, np.int32), np.empty(count, np.int32)
        num_ids = sorted_unique(ids, unique, places, order, id_begins)
        id_begins = id_begins[: num_ids + 1]
        if not self._with_gradients:
            return TableLookup(
                user_fields=user_fields,
                impression_fields=impression_fields,
                ids=unique[:num_ids],
                begins=begins,
                places=places,
                weights=weights,
                id_begins=id_begins[:0],
                id_segments=places[:0],
                id_weights=weights[:0],
                counts=None,
                lists=elements,
            )
        segment_of = np.repeat(np.arange(segments, dtype=np.int32), np.diff(begins))
        id_segments = segment_of[order]
        counts = None
        if self._count_impressions:
            counts = np.empty(num_ids, np.int64)
            count_impressions(
                (id_begins, id_segments),
                (len(user_fields), len(impression_fields)),
                batch.impressions_per_group,
                counts,
            )
        return TableLookup(
            user_fields=user_fields,
            impression_fields=impression_fields,
            ids=unique[:num_ids],
            begins=begins,
            places=places,
            weights=weights,
            id_begins=id_begins,
            id_segments=id_segments,
            id_weights=weights[order],
            counts=counts,
            lists=elements,
        )


def _settings_of(fields: Sequence[Field], tables: Sequence[str], seen: Sequence[Field]) -> I64:
    """Return the table (-1: not seen), longest list and norm of each field: int64 [F, 3], as ``collect`` takes them."""
    longest = np.iinfo(np.int64).max
    settings = [
        (tables.index(f.table) if f in seen else -1, f.max_ids or longest, COMBINER_POWER[f.combiner]) for f in fields
    ]
    return np.array(settings, dtype=np.int64).reshape(-1, 3)


def _with_elements(
    attended: Mapping[str, int], groups: int, user_fields: int, matrix: tuple[I64, F32, I64]
) -> tuple[dict[str, ElementList], I64, F32, I64]:
    """Append a segment for each element of some lists to a matrix.

    Args:
        attended: place of each list among the user fields of the table
        groups: G
        user_fields: F_u
        matrix: ids int64 [N], weights float32 [N] and begins int64 [S + 1] of the segments

    Returns:
        The lists, and ids, weights and begins with the elements' behind them.
    """
    ids, weights, begins = matrix
    found, all_places = {}, [np.empty(0, np.int64)]
    for name, place in attended.items():
        firsts = begins[: groups * user_fields][place::user_fields]
        lengths = begins[1 : groups * user_fields + 1][place::user_fields] - firsts
        places = np.arange(lengths.sum()) + np.repeat(firsts - (np.cumsum(lengths) - lengths), lengths)
        found[name] = ElementList(lengths=lengths, weights=weights[places])
        all_places.append(places)
    places = np.concatenate(all_places)
    ends = np.arange(len(ids) + 1, len(ids) + len(places) + 1)
    ones = np.ones(len(places), np.float32)
    return (
        found,
        np.concatenate([ids, ids[places]]),
        np.concatenate([weights, ones]),
        np.concatenate([begins, ends]),
    )


def _given(weights: F32 | None) -> F32:
    """Return weights, or none, which stand for 1 each."""
    return np.empty(0, dtype=np.float32) if weights is None else weights
