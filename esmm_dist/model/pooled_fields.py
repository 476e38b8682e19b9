"""The pooled vectors of a grouped batch, and which of their columns belong to which field."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint


class ListElements(NamedTuple):
    """One user field, element by element: a list of each group."""

    lengths: tf.Tensor
    """int64 [G]"""
    weights: tf.Tensor
    """float32 [n]: the weight that each element has in the field's pooled sum, with the combiner in it"""


class BesidePooled(NamedTuple):
    """What a model takes beside the pooled rows of a batch."""

    norms: Mapping[str, tf.Tensor]
    """float32 [G·F_u + B·F_i, 1] by table, what the linear term divides by; empty unless ``Esmm.uses_norms``"""
    lists: Mapping[str, ListElements]
    """The attended lists by name, whose rows are the last of the pooled ones; empty unless a network wants lists"""


class ListRows(NamedTuple):
    """One user field, element by element, with the elements' rows: group 0's, then group 1's, ..."""

    rows: tf.Tensor
    """float32 [n, D]"""
    lengths: tf.Tensor
    """int64 [G]: elements of each group"""
    weights: tf.Tensor
    """float32 [n]: the weight that each element has in the field's pooled sum, with the combiner in it"""


class PooledFields(NamedTuple):
    """Pooled vectors of a grouped batch: of user fields once a group, of the others once an impression.

    Example of two groups with 1 and 2 impressions, where D is 2 for all fields::

        user         user_id  history            impression   item_id  category      group_of_impression
        group 0      [ u u  |  h h ]             0            [ i i  |  c c ]        0
        group 1      [ u u  |  h h ]             1            [ i i  |  c c ]        1
                                                 2            [ i i  |  c c ]        1

    ``FieldLayout.pooled`` makes it. All it holds is tensors, so that Keras takes it as a layer's input.
    """

    user: tf.Tensor
    """float32 [G, P_u]: the user fields' columns, one field after the other"""
    impression: tf.Tensor
    """float32 [B, P_i]: those of the other fields"""
    group_of_impression: tf.Tensor
    """int64 [B]: row of ``user`` that belongs to each impression"""
    user_fields: Mapping[str, tf.Tensor]
    """float32 [G, D] by name, and by alias, of a field: its columns of ``user``"""
    impression_fields: Mapping[str, tf.Tensor]
    """float32 [B, D] by name, and by alias, of a field: its columns of ``impression``"""
    lists: Mapping[str, ListRows]
    """The attended lists by name, where a network wants them (``BaseNetwork.wants_lists``); else empty"""

    def field(self, name: str) -> tf.Tensor:
        """Return the vectors of one field, by name or alias: float32 [G, D] of a user field, [B, D] of any other.

        Raises:
            ConfigError: The network sees no such field.
        """
        if name in self.user_fields:
            return self.user_fields[name]
        if name in self.impression_fields:
            return self.impression_fields[name]
        raise unknown_field(name, (*self.user_fields, *self.impression_fields))

    def per_impression(self, name: str) -> tf.Tensor:
        """Return the vectors of one field, by name or alias: float32 [B, D]; a user's are repeated.

        Raises:
            ConfigError: The network sees no such field.
        """
        values = self.field(name)
        return tf.gather(values, self.group_of_impression) if name in self.user_fields else values


@dataclass(frozen=True, kw_only=True)
class FieldLayout:
    """The fields that a network sees, in the order of their columns: table by table, and as the schema lists them."""

    user_dims: Mapping[str, int]
    """Columns of each user field."""
    impression_dims: Mapping[str, int]
    """Columns of each other field."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names of the fields by the aliases that one of them alone has."""
    attended: Mapping[str, str] = field(default_factory=dict)
    """For each user field whose elements the network gets (``PooledFields.lists``) the field of the impression that
    attends to it, which has as many columns; empty unless a network wants lists."""

    @property
    def user_columns(self) -> int:
        """P_u: columns of all user fields."""
        return sum(self.user_dims.values())

    @property
    def impression_columns(self) -> int:
        """P_i: columns of all other fields."""
        return sum(self.impression_dims.values())

    @property
    def user_fields(self) -> tuple[str, ...]:
        """Names of the user fields, in the order of their columns."""
        return tuple(self.user_dims)

    @property
    def impression_fields(self) -> tuple[str, ...]:
        """Names of the other fields, in the order of their columns."""
        return tuple(self.impression_dims)

    def dim(self, name: str) -> int:
        """Return D, the columns of a field of this name or alias.

        Raises:
            ConfigError: The network sees no such field.
        """
        dims = {**self.user_dims, **self.impression_dims}
        if self.aliases.get(name, name) not in dims:
            raise unknown_field(name, (*dims, *self.aliases))
        return dims[self.aliases.get(name, name)]

    def pooled(
        self,
        user: tf.Tensor,
        impression: tf.Tensor,
        group_of_impression: tf.Tensor,
        lists: Mapping[str, ListRows] | None = None,
    ) -> PooledFields:
        """Name the columns of pooled vectors.

        Args:
            user: float32 [G, P_u]
            impression: float32 [B, P_i]
            group_of_impression: int64 [B]
            lists: the attended lists, by name; None: there are none
        """
        return PooledFields(
            user=user,
            impression=impression,
            group_of_impression=group_of_impression,
            user_fields=self._by_field(user, self.user_dims),
            impression_fields=self._by_field(impression, self.impression_dims),
            lists=lists or {},
        )

    def _by_field(self, values: tf.Tensor, dims: Mapping[str, int]) -> dict[str, tf.Tensor]:
        """Split float32 [n, P] into the columns of each field."""
        parts = tf.split(values, [*dims.values(), 0], axis=1)[:-1]  # there may be no field
        by_name = dict(zip(dims, parts, strict=True))
        return {**by_name, **{alias: by_name[name] for alias, name in self.aliases.items() if name in by_name}}


def unknown_field(name: str, known: Collection[str]) -> ConfigError:
    """Return the error about a field that a network asks for and does not see."""
    return ConfigError(
        f"The network sees no field '{name}'.{nearest_hint(name, known)} model.fields, if it is set, lists the fields "
        "that it sees."
    )
