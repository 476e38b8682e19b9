"""From the bytes of records to a grouped batch, whose parts are checked to fit together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, U8, Objects
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.kernels.example_decoding import (
    BYTES_LIST,
    FLOAT_LIST,
    INT64_LIST,
    find_bytes,
    find_lists,
    read_float,
    read_int64,
)
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema


class UnfitBatchError(ValueError):
    """A record is no ``tf.train.Example``, or the parts of a batch do not fit together."""


class RecordDecoder:
    """Decodes the records of one schema. Thread-safe; without Python for each record."""

    def __init__(
        self, schema: Schema, *, with_names: bool = False, with_weights: bool = True, for_scoring: bool = False
    ) -> None:
        """Prepare to decode.

        Args:
            schema: schema of the records
            with_names: whether to read the texts that name impressions
            with_weights: whether to read the weights of ids; a batch without has None in their place
            for_scoring: whether labels and sample weights are not read, which need not be there then: labels are all 0
        """
        self._schema, self._for_scoring = schema, for_scoring
        self._kinds = record_kinds(schema, with_names=with_names)
        if for_scoring:
            del self._kinds[keys.LABELS]
            self._kinds.pop(keys.SAMPLE_WEIGHTS, None)
        if not with_weights:
            for key in (keys.USER_WEIGHTS, keys.IMPRESSION_WEIGHTS):
                self._kinds.pop(key, None)
        encoded = [key.encode() for key in self._kinds]
        self._keys = np.frombuffer(bytearray().join(encoded), dtype=np.uint8)
        self._key_ends = np.cumsum([len(key) for key in encoded])
        self._list_kinds = np.array(list(self._kinds.values()), dtype=np.int64)

    def batch(self, records: Sequence[bytes]) -> GroupedBatch:
        """Return the batch of some records: what ``tf.io.parse_example`` reads with ``parse_spec``.

        Raises:
            UnfitBatchError: A record is no ``tf.train.Example``, a key has values of another kind, or the parts do not
                fit together.
        """
        lists = self._lists(records)
        sample_ids = lists.int64(keys.SAMPLE_IDS)
        if self._for_scoring:
            labels = np.zeros(len(sample_ids) * len(self._schema.labels), np.int64)
        else:
            labels = lists.int64(keys.LABELS)
        if len(labels) != len(sample_ids) * len(self._schema.labels):
            raise UnfitBatchError(f"{len(labels)} labels of {len(sample_ids)} impressions")
        batch = GroupedBatch(
            user_ids=lists.int64(keys.USER_IDS),
            user_lengths=lists.int64(keys.USER_LENGTHS),
            user_weights=lists.float32(keys.USER_WEIGHTS),
            impression_ids=lists.int64(keys.IMPRESSION_IDS),
            impression_lengths=lists.int64(keys.IMPRESSION_LENGTHS),
            impression_weights=lists.float32(keys.IMPRESSION_WEIGHTS),
            impressions_per_group=lists.lengths(keys.SAMPLE_IDS),
            sample_ids=sample_ids,
            labels=labels.reshape(-1, len(self._schema.labels)),
            sample_weights=lists.float32(keys.SAMPLE_WEIGHTS),
            sample_names=lists.bytes(keys.SAMPLE_NAMES),
        )
        _check_fit(batch, self._schema)
        return batch

    def _lists(self, records: Sequence[bytes]) -> "_Lists":
        """Find the lists of each record.

        Raises:
            UnfitBatchError: A record is no ``tf.train.Example``, or a key has values of another kind.
        """
        data = np.frombuffer(bytearray().join(records), dtype=np.uint8)
        ends = np.cumsum([len(record) for record in records], dtype=np.int64)
        places = np.empty((len(self._kinds), len(records), 4), dtype=np.int64)
        malformed = find_lists(data, ends, self._keys, self._key_ends, self._list_kinds, places)
        if malformed >= 0:
            raise UnfitBatchError(
                f"record {malformed} of {len(records)} in a batch is no tf.train.Example of this schema"
            )
        return _Lists(data, dict(zip(self._kinds, places, strict=True)))


@dataclass(frozen=True)
class _Lists:
    """Where the lists of a batch's records are."""

    data: U8
    """uint8 [bytes]: the records, one after another"""
    places: dict[str, I64]
    """int64 [G, 4] by key, see ``find_lists``"""

    def lengths(self, key: str) -> I64:
        """Return the number of values in each record: int64 [G]."""
        return self.places[key][:, 3].copy()

    def int64(self, key: str) -> I64:
        """Return the values of a key: int64 [N]."""
        values = np.empty(self._size(key), dtype=np.int64)
        malformed = read_int64(self.data, self.places[key], values)
        if malformed >= 0:
            raise UnfitBatchError(f"record {malformed} in a batch has a number of more than 10 bytes in '{key}'")
        return values

    def float32(self, key: str) -> F32 | None:
        """Return the values of a key: float32 [N]; None if it is not read."""
        if key not in self.places:
            return None
        values = np.empty(self._size(key), dtype=np.float32)
        read_float(self.data, self.places[key], values.view(np.uint8))
        return values

    def bytes(self, key: str) -> Objects | None:
        """Return the values of a key: bytes [N]; None if it is not read."""
        if key not in self.places:
            return None
        places = np.empty((self._size(key), 2), dtype=np.int64)
        find_bytes(self.data, self.places[key], places)
        data = self.data.data
        values = np.empty(len(places), dtype=np.object_)
        values[:] = [bytes(data[begin:end]) for begin, end in places.tolist()]
        return values

    def _size(self, key: str) -> int:
        return int(self.places[key][:, 3].sum())


def record_kinds(schema: Schema, *, with_names: bool = False) -> dict[str, int]:
    """Return the kind of list of each key that is read from a record of this schema."""
    kinds = dict.fromkeys(
        (
            keys.USER_IDS,
            keys.USER_LENGTHS,
            keys.IMPRESSION_IDS,
            keys.IMPRESSION_LENGTHS,
            keys.SAMPLE_IDS,
            keys.LABELS,
        ),
        INT64_LIST,
    )
    for key, present in (
        (keys.USER_WEIGHTS, any(field.weighted for field in schema.user_fields)),
        (keys.IMPRESSION_WEIGHTS, any(field.weighted for field in schema.impression_fields)),
        (keys.SAMPLE_WEIGHTS, schema.has_sample_weights),
    ):
        if present:
            kinds[key] = FLOAT_LIST
    if with_names:
        kinds[keys.SAMPLE_NAMES] = BYTES_LIST
    return kinds


def _check_fit(batch: GroupedBatch, schema: Schema) -> None:
    """Check that the parts of a batch fit together; costs microseconds."""
    if batch.sample_names is not None and len(batch.sample_names) != batch.num_impressions:
        raise UnfitBatchError(f"{len(batch.sample_names)} names of {batch.num_impressions} impressions")
    if batch.sample_weights is not None and len(batch.sample_weights) != batch.num_impressions:
        raise UnfitBatchError(f"{len(batch.sample_weights)} sample weights of {batch.num_impressions} impressions")
    for name, of, fields, lengths, ids, weights in (
        ("user", batch.num_groups, schema.user_fields, batch.user_lengths, batch.user_ids, batch.user_weights),
        (
            "impression",
            batch.num_impressions,
            schema.impression_fields,
            batch.impression_lengths,
            batch.impression_ids,
            batch.impression_weights,
        ),
    ):
        if len(lengths) != of * len(fields) or (lengths < 0).any() or lengths.sum() != len(ids):
            raise UnfitBatchError(f"{len(ids)} ids of {of} x {len(fields)} {name} fields, whose lengths differ")
        if weights is not None and len(weights) != len(ids):
            raise UnfitBatchError(f"{len(weights)} weights of {len(ids)} {name} ids")
