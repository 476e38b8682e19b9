"""Read what can be read of a damaged shard, record by record.

A record whose data is damaged is lost alone. Where a length is damaged, or the zlib stream breaks, nothing says where
the next record begins: from there on all are lost. Slow, and meant for the few shards that need it.

The format is described in ``shard_records.py``.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.input.shard_records import RECORD_CRC, RECORD_HEADER, masked_crc
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import Shard

_INFLATE_BYTES = 1 << 16

Kind = str
"""Kind of a feature's values: ``int64_list``, ``float_list`` or ``bytes_list``."""


@dataclass(frozen=True, kw_only=True)
class Salvaged:
    """A shard's records, as many as the manifest says."""

    records: tuple[bytes | None, ...]
    """None: this one cannot be read."""
    impressions: int
    """Impressions of the records that can be read."""
    reason: str | None
    """What is wrong with the first record that cannot be read, or with what follows the last one; None: nothing is
    damaged, as far as the file itself can tell."""


def salvage(data: bytes, shard: Shard, schema: Schema, *, compressed: bool) -> Salvaged:
    """Find the records of a shard that are whole.

    Args:
        data: bytes of the file
        shard: what the manifest says about it
        schema: schema of the records
        compressed: whether the file is a zlib stream
    """
    plain, broken = _inflated(data) if compressed else (data, None)
    records: list[bytes | None] = []
    reason = None
    impressions = offset = 0
    while len(records) < shard.records and offset < len(plain):
        record, size, problem = _next_record(plain, offset)
        count = 0
        if record is not None:
            count, problem = _checked(record, schema)
        if problem is not None:
            where = broken if size is None and broken is not None else problem
            reason = reason or f"record {len(records)}: {where}"
        if size is None:
            break
        records.append(record if problem is None else None)
        impressions += count if problem is None else 0
        offset += size
    else:
        if offset < len(plain):  # more than the manifest says: none of it is what was written
            return Salvaged(records=(None,) * shard.records, impressions=0, reason=None)
    missing = shard.records - len(records)
    if missing and broken is not None:
        reason = reason or f"record {len(records)}: {broken}"
    return Salvaged(records=(*records, *[None] * missing), impressions=impressions, reason=reason)


def shard_bytes(records: Sequence[bytes], *, compressed: bool) -> bytes:
    """Return the bytes of a shard with these records."""
    data = b"".join(_framed(record) for record in records)
    return zlib.compress(data, 1) if compressed else data


def placeholder(schema: Schema) -> bytes:
    """Return a record without impressions, which stands where one cannot be read: every other one keeps its place."""
    import tensorflow as tf  # here: it takes seconds, and few data sets are damaged

    lengths = tf.train.Int64List(value=[0] * len(schema.user_fields))
    features = tf.train.Features(feature={keys.USER_LENGTHS: tf.train.Feature(int64_list=lengths)})
    data: bytes = tf.train.Example(features=features).SerializeToString(deterministic=True)
    return data


def _inflated(data: bytes) -> tuple[bytes, str | None]:
    """Inflate a zlib stream up to where it breaks; return what came out, and what is wrong."""
    stream, out = zlib.decompressobj(), bytearray()
    for start in range(0, len(data), _INFLATE_BYTES):
        before, chunk = stream.copy(), data[start : start + _INFLATE_BYTES]
        try:
            out += stream.decompress(chunk)
        except zlib.error as e:
            # A call that fails gives nothing of what it had inflated: go again, byte by byte
            for i in range(len(chunk)):
                try:
                    out += before.decompress(chunk[i : i + 1])
                except zlib.error:
                    break
            return bytes(out), f"the zlib stream breaks ({e})"
    return bytes(out), None if stream.eof else "the zlib stream ends too early"


def _next_record(plain: bytes, offset: int) -> tuple[bytes | None, int | None, str | None]:
    """Return the record at an offset, the bytes up to the next one, and what is wrong; None for what is not known."""
    if offset + RECORD_HEADER.size > len(plain):
        return None, None, "the file ends within it"
    length, crc = RECORD_HEADER.unpack_from(plain, offset)
    if masked_crc(plain[offset : offset + 8]) != crc:
        return None, None, "its length has another checksum"
    size = RECORD_HEADER.size + length + RECORD_CRC.size
    if offset + size > len(plain):
        return None, None, "the file ends within it"
    record = plain[offset + RECORD_HEADER.size : offset + RECORD_HEADER.size + length]
    if masked_crc(record) != RECORD_CRC.unpack_from(plain, offset + size - RECORD_CRC.size)[0]:
        return None, size, "its data has another checksum"
    return record, size, None


def _framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return b"".join([length, RECORD_CRC.pack(masked_crc(length)), record, RECORD_CRC.pack(masked_crc(record))])


def _checked(record: bytes, schema: Schema) -> tuple[int, str | None]:
    """Return the impressions of a record, and what is wrong with it."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return 0, "it is no tf.train.Example"
    values = {}
    for key, kind in _kinds(schema).items():
        if key in features and features[key].WhichOneof("kind") not in (None, kind):
            return 0, f"{key} is no {kind}"
        values[key] = getattr(features[key], kind).value if key in features else ()
    impressions = len(values[keys.SAMPLE_IDS])
    expected = {
        keys.USER_LENGTHS: len(schema.user_fields),
        keys.IMPRESSION_LENGTHS: impressions * len(schema.impression_fields),
        keys.LABELS: impressions * len(schema.labels),
        keys.SAMPLE_NAMES: impressions,
        keys.SAMPLE_WEIGHTS: impressions,
        keys.USER_IDS: sum(values[keys.USER_LENGTHS]),
        keys.IMPRESSION_IDS: sum(values[keys.IMPRESSION_LENGTHS]),
        keys.USER_WEIGHTS: sum(values[keys.USER_LENGTHS]),
        keys.IMPRESSION_WEIGHTS: sum(values[keys.IMPRESSION_LENGTHS]),
    }
    if any(length < 0 for key in (keys.USER_LENGTHS, keys.IMPRESSION_LENGTHS) for length in values[key]):
        return 0, "a length is negative"
    for key, number in expected.items():
        if key in values and len(values[key]) != number:
            return 0, f"{key} has {len(values[key])} values instead of {number}"
    if not set(values[keys.LABELS]) <= {0, 1}:
        return 0, "a label is neither 0 nor 1"
    return impressions, None


def _kinds(schema: Schema) -> dict[str, Kind]:
    """Return the keys that a record may have, in the order in which they are checked."""
    ints = (
        keys.USER_LENGTHS,
        keys.IMPRESSION_LENGTHS,
        keys.SAMPLE_IDS,
        keys.LABELS,
        keys.USER_IDS,
        keys.IMPRESSION_IDS,
    )
    floats = [
        key
        for key, fields in (
            (keys.USER_WEIGHTS, schema.user_fields),
            (keys.IMPRESSION_WEIGHTS, schema.impression_fields),
        )
        if any(field.weighted for field in fields)
    ]
    if schema.has_sample_weights:
        floats.append(keys.SAMPLE_WEIGHTS)
    names = [keys.SAMPLE_NAMES] if schema.has_impression_texts else []
    return dict.fromkeys(ints, "int64_list") | dict.fromkeys(floats, "float_list") | dict.fromkeys(names, "bytes_list")
