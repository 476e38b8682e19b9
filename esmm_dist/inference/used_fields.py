"""A model that uses the values of some fields only: what others have pooled counts as if they had no value.

It is done behind pooling, in the towers, so that every way to a score does it: records, features, values, served rows.
"""

from collections.abc import Collection, Mapping, Sequence

import tensorflow as tf

from esmm_dist.model.pooled_fields import BesidePooled, ListElements
from esmm_dist.schema.fields import Field

Tensors = dict[str, tf.Tensor]


class UsedFields:
    """Blanks what other fields have pooled."""

    def __init__(
        self, seen: Sequence[Field], tables: Sequence[str], lists: Sequence[str], used: Collection[str]
    ) -> None:
        """Lay out the segments of each table, as ``LookupPlan`` does.

        Args:
            seen: the fields that the model sees
            tables: tables of the schema
            lists: names of the user fields that are taken element by element
            used: names of the fields whose values count
        """
        self._of_users = {t: [f.name in used for f in seen if f.table == t and f.owner == "user"] for t in tables}
        self._of_others = {t: [f.name in used for f in seen if f.table == t and f.owner != "user"] for t in tables}
        table_of = {field.name: field.table for field in seen}
        self._lists = {table: [name for name in lists if table_of[name] == table] for table in tables}
        self._used = frozenset(used)

    def only(
        self, pooled: Mapping[str, tf.Tensor], beside: BesidePooled, impressions: tf.Tensor, groups: tf.Tensor
    ) -> tuple[Tensors, BesidePooled]:
        """Return what the model takes, as if a batch had no value of other fields.

        Args:
            pooled: float32 [S, D] by table
            beside: norms stay, as zeros have none
            impressions: int64 scalar B
            groups: int64 scalar G
        """
        blanked, lists = {}, dict(beside.lists)
        for table, rows in pooled.items():
            of_users, of_others = (tf.constant(of[table], tf.bool) for of in (self._of_users, self._of_others))
            used = tf.concat([tf.tile(of_users, [groups]), tf.tile(of_others, [impressions])], 0)
            names = self._lists[table]
            sizes = [tf.size(used, out_type=tf.int64)]
            sizes += [tf.size(lists[name].weights, out_type=tf.int64) for name in names]
            whole, *elements = tf.split(rows, sizes)
            parts = [tf.where(used[:, tf.newaxis], whole, tf.zeros_like(whole))]
            for name, of_list in zip(names, elements, strict=True):
                if name in self._used:
                    parts.append(of_list)
                else:
                    empty = tf.zeros_like(lists[name].lengths)
                    lists[name] = ListElements(empty, lists[name].weights[:0])
            blanked[table] = tf.concat(parts, 0)
        return blanked, BesidePooled(beside.norms, lists)
