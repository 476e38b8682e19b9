"""Take lists of ids out of a grouped batch, and put others in their place, a field at a time."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, I64, Array
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Field, Schema


def gathered_lists(lengths: I64, columns: Sequence[Array | None], chosen: I64) -> tuple[I64, list[Any]]:
    """Return lists in another order, or some of them, or some of them several times.

    ::

        lengths 2 0 1, values (7 8) () (9), chosen 2 0 0   ->   lengths 1 2 2, values (9) (7 8) (7 8)

    Args:
        lengths: int64 [S]
        columns: [N] each, the elements of all lists one after the other; None stays None
        chosen: int64 [T], places of lists

    Returns:
        Lengths int64 [T], and the columns of the chosen lists.
    """
    begins = np.cumsum(lengths) - lengths
    of_chosen = lengths[chosen]
    places = np.arange(of_chosen.sum()) + np.repeat(begins[chosen] - (np.cumsum(of_chosen) - of_chosen), of_chosen)
    return of_chosen, [None if column is None else column[places] for column in columns]


def with_lists_of(batch: GroupedBatch, schema: Schema, field: Field, chosen: I64) -> GroupedBatch:
    """Return a batch whose groups, or impressions, have the lists of others in one field.

    Ids, weights and the lengths of lists move together; all other fields, labels and sample weights stay.

    Args:
        batch: G groups with B impressions
        schema: its schema
        field: one of its fields
        chosen: int64 [G] for a field of users, [B] for any other: the group or impression whose list each one gets
    """
    of_users = field.owner == "user"
    owned = schema.user_fields if of_users else schema.impression_fields
    places = np.arange(len(chosen) * len(owned)).reshape(len(chosen), len(owned))
    places[:, owned.index(field)] = chosen * len(owned) + owned.index(field)
    lists, columns = _user_part(batch) if of_users else _impression_part(batch)
    lengths, (ids, weights) = gathered_lists(lists, columns, places.reshape(-1))
    if of_users:
        return replace(batch, user_lengths=lengths, user_ids=ids, user_weights=weights)
    return replace(batch, impression_lengths=lengths, impression_ids=ids, impression_weights=weights)


def chosen_groups(batch: GroupedBatch, schema: Schema, chosen: I64) -> GroupedBatch:
    """Return some groups of a batch with their impressions.

    Args:
        batch: G groups
        schema: its schema
        chosen: int64 [H], places of groups, in any order
    """
    per_group, (impressions,) = gathered_lists(batch.impressions_per_group, [np.arange(batch.num_impressions)], chosen)
    of_users, of_impressions = len(schema.user_fields), len(schema.impression_fields)
    user_places = chosen[:, np.newaxis] * of_users + np.arange(of_users)
    own_places = impressions[:, np.newaxis] * of_impressions + np.arange(of_impressions)
    user_lengths, (user_ids, user_weights) = gathered_lists(*_user_part(batch), user_places.reshape(-1))
    lengths, (ids, weights) = gathered_lists(*_impression_part(batch), own_places.reshape(-1))
    return GroupedBatch(
        user_ids=user_ids,
        user_lengths=user_lengths,
        user_weights=user_weights,
        impression_ids=ids,
        impression_lengths=lengths,
        impression_weights=weights,
        impressions_per_group=per_group,
        sample_ids=batch.sample_ids[impressions],
        labels=batch.labels[impressions],
        sample_weights=None if batch.sample_weights is None else batch.sample_weights[impressions],
        sample_names=None if batch.sample_names is None else batch.sample_names[impressions],
    )


def one_impression(batch: GroupedBatch, schema: Schema, place: int) -> GroupedBatch:
    """Return one impression of a batch, as a group of its own with its user.

    Args:
        batch: a batch
        schema: its schema
        place: place of the impression, 0 .. B - 1
    """
    ends = np.cumsum(batch.impressions_per_group)
    group = int(np.searchsorted(ends, place, side="right"))
    whole = chosen_groups(batch, schema, np.array([group]))
    own = place - int(ends[group] - batch.impressions_per_group[group])
    others = len(schema.impression_fields)
    lengths, (ids, weights) = gathered_lists(*_impression_part(whole), own * others + np.arange(others))
    return replace(
        whole,
        impression_lengths=lengths,
        impression_ids=ids,
        impression_weights=weights,
        impressions_per_group=np.ones(1, np.int64),
        sample_ids=whole.sample_ids[own : own + 1],
        labels=whole.labels[own : own + 1],
        sample_weights=None if whole.sample_weights is None else whole.sample_weights[own : own + 1],
        sample_names=None if whole.sample_names is None else whole.sample_names[own : own + 1],
    )


def list_of(impression: GroupedBatch, schema: Schema, field: Field) -> tuple[I64, F32 | None]:
    """Return the ids int64 [n] and weights float32 [n] (None: all 1) of one impression in a field.

    Args:
        impression: from ``one_impression``
        schema: its schema
        field: one of its fields
    """
    place, (lengths, (ids, weights)) = _place_of(impression, schema, field)
    begin = int(lengths[:place].sum())
    chosen = slice(begin, begin + int(lengths[place]))
    return ids[chosen], None if weights is None else weights[chosen]


def with_ids_in(impression: GroupedBatch, schema: Schema, field: Field, ids: I64) -> GroupedBatch:
    """Return one impression with other ids in a field, of weight 1 each.

    Args:
        impression: from ``one_impression``
        schema: its schema
        field: one of its fields
        ids: int64 [n], 0 or more of them
    """
    place, (lengths, (all_ids, weights)) = _place_of(impression, schema, field)
    begin = int(lengths[:place].sum())
    end = begin + int(lengths[place])
    lengths = lengths.copy()
    lengths[place] = len(ids)
    all_ids = np.concatenate((all_ids[:begin], ids, all_ids[end:]))
    if weights is not None:
        weights = np.concatenate((weights[:begin], np.ones(len(ids), np.float32), weights[end:]))
    if field.owner == "user":
        return replace(impression, user_lengths=lengths, user_ids=all_ids, user_weights=weights)
    return replace(impression, impression_lengths=lengths, impression_ids=all_ids, impression_weights=weights)


def joined_batches(batches: Sequence[GroupedBatch]) -> GroupedBatch:
    """Return one batch of all groups, in their order; there is one batch or more."""
    columns: dict[str, Any] = {
        each.name: None
        if getattr(batches[0], each.name) is None
        else np.concatenate([getattr(batch, each.name) for batch in batches])
        for each in fields(GroupedBatch)
    }
    return GroupedBatch(**columns)


def _place_of(impression: GroupedBatch, schema: Schema, field: Field) -> tuple[int, tuple[I64, list[Any]]]:
    if field.owner == "user":
        return schema.user_fields.index(field), _user_part(impression)
    return schema.impression_fields.index(field), _impression_part(impression)


def _user_part(batch: GroupedBatch) -> tuple[I64, list[Any]]:
    return batch.user_lengths, [batch.user_ids, batch.user_weights]


def _impression_part(batch: GroupedBatch) -> tuple[I64, list[Any]]:
    return batch.impression_lengths, [batch.impression_ids, batch.impression_weights]
