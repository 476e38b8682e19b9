"""Requests of ids: packed lists by name, or serialized records. Ids without a row read their start value here.

What is left out of a request of values is not left out here: whoever packs ids has a data set's, and ``esmm predict``
of a data set reads a start value for an id of its vocabulary that has no row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from esmm_dist.arrays import I64, Ids
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.record_decoding import RecordDecoder, UnfitBatchError
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import name_of
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP
from esmm_dist.serving.requests.asked_columns import listed, weights_in, whole_numbers
from esmm_dist.serving.requests.bad_request import BadRequestError, shown
from esmm_dist.serving.requests.batch_of_columns import Knows
from esmm_dist.serving.requests.column_request import check_inputs, place_in


def read_features(body: Any, schema: Schema) -> GroupedBatch:
    """Return the batch of packed lists.

    Args:
        body: what JSON says: a list for each key
        schema: schema of the model

    Raises:
        BadRequestError: a list is unknown or missing, or does not fit the others
    """
    weighted = {
        keys.USER_WEIGHTS: any(field.weighted for field in schema.user_fields),
        keys.IMPRESSION_WEIGHTS: any(field.weighted for field in schema.impression_fields),
    }
    lists = (keys.USER_IDS, keys.USER_LENGTHS, keys.IMPRESSION_IDS, keys.IMPRESSION_LENGTHS)
    check_inputs(body, {*lists, IMPRESSIONS_PER_GROUP, *(key for key, needed in weighted.items() if needed)})
    candidates_of = whole_numbers(body[IMPRESSIONS_PER_GROUP], IMPRESSIONS_PER_GROUP)
    impressions = int(candidates_of.sum())
    found: dict[str, Any] = {}
    for ids, lengths, weights, rows, fields in (
        (keys.USER_IDS, keys.USER_LENGTHS, keys.USER_WEIGHTS, len(candidates_of), schema.user_fields),
        (keys.IMPRESSION_IDS, keys.IMPRESSION_LENGTHS, keys.IMPRESSION_WEIGHTS, impressions, schema.impression_fields),
    ):
        found[ids] = whole_numbers(body[ids], ids, least=None)
        found[lengths] = whole_numbers(body[lengths], lengths)
        if len(found[lengths]) != rows * len(fields):
            raise BadRequestError(
                f"{lengths} has {len(found[lengths])} values, but {rows} rows of {len(fields)} fields have "
                f"{rows * len(fields)}. Write the number of ids of each field of each row, in the order of the schema: "
                f"{', '.join(field.name for field in fields)}."
            )
        if found[lengths].sum() != len(found[ids]):
            raise BadRequestError(
                f"{lengths} adds up to {found[lengths].sum()}, but {ids} has {len(found[ids])} ids. Write how many of "
                "them each field of each row has."
            )
        found[weights] = None
        if weighted[weights]:
            given = listed(body[weights], weights)
            if len(given) != len(found[ids]):
                raise BadRequestError(
                    f"{weights} has {len(given)} weights, but {ids} has {len(found[ids])} ids. Write a weight for each."
                )
            found[weights] = weights_in(given, place_in(weights))
    return GroupedBatch(
        **found,
        impressions_per_group=candidates_of,
        sample_ids=np.arange(impressions),
        labels=np.zeros((impressions, len(schema.labels)), np.int64),
    )


class RecordRequests:
    """Reads requests of records for one schema. Thread-safe."""

    def __init__(self, schema: Schema) -> None:
        """Prepare to decode.

        Args:
            schema: schema of the records
        """
        self._schema = schema
        self._decoder = RecordDecoder(schema, with_names=schema.has_text_sample_ids, for_scoring=True)

    def batch(self, body: Any) -> GroupedBatch:
        """Return the batch of some records.

        Args:
            body: a list of bytes

        Raises:
            BadRequestError: one is no record of the schema
        """
        for at, record in enumerate(listed(body, "examples")):
            if type(record) is not bytes:
                raise BadRequestError(
                    f'examples[{at}] is {shown(record)}, which is no serialized tf.train.Example. Write {{"b64": ...}}.'
                )
        try:
            batch = self._decoder.batch(body)
        except UnfitBatchError as e:
            raise BadRequestError(
                f"The examples are no records of the schema '{self._schema.name}': {e}. Write records as esmm "
                "preprocess writes them with this schema."
            ) from e
        if batch.sample_names is None:
            return batch
        names = np.empty(len(batch.sample_names), np.object_)
        names[:] = [name_of(text) for text in batch.sample_names]  # without the columns that are kept behind them
        return replace(batch, sample_names=names)


def unknown_ids(batch: GroupedBatch, schema: Schema, knows: Knows) -> dict[str, int]:
    """Return how many ids of each field have no row, those of missing values not counted."""
    found: dict[str, int] = {}
    parts = (
        (schema.user_fields, batch.user_ids, batch.user_lengths),
        (schema.impression_fields, batch.impression_ids, batch.impression_lengths),
    )
    for fields, ids, lengths in parts:
        found |= _unknown_of(fields, ids, lengths, knows)
    return found


def _unknown_of(fields: Sequence[Field], ids: Ids, lengths: I64, knows: Knows) -> Mapping[str, int]:
    if not len(ids):
        return {}
    field_of = np.repeat(np.arange(len(lengths)) % len(fields), lengths)
    lacking = np.zeros(len(ids), np.bool_)
    for table in dict.fromkeys(field.table for field in fields):
        of_table = np.array([field.table == table for field in fields])[field_of]
        lacking[of_table] = ~knows[table](ids[of_table])
    if not lacking.any():
        return {}
    none = np.array([missing_id(field.id_space) if field.missing == "id" else -1 for field in fields], np.int64)
    lacking &= ids != none[field_of]
    counts = np.bincount(field_of[lacking], minlength=len(fields)).tolist()
    return {field.name: count for field, count in zip(fields, counts, strict=True) if count}
