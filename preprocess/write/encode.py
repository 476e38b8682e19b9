"""Encode user parts and impressions as the lists of a record (layout: ``esmm_dist/schema/record_format.py``).

A record is long in its values and short in its frame: the values of many records are encoded together, list by list,
and then put between the frames (``record_kernel``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import google_crc32c
import numpy as np

from esmm_dist.arrays import I64, U8, Array
from esmm_dist.schema import record_format as layout
from esmm_dist.schema.fields import Field
from preprocess.read.feature_rows import FeatureRows, splits_of
from preprocess.read.row_files import Targets
from preprocess.read.texts import Texts
from preprocess.work.blocks import gathered

_FLOAT_BYTES = 4
_TAGS = {"int64": 0x1A, "float": 0x12, "bytes": 0x0A}

_Frames = tuple[U8, I64, U8, U8]
_Lists = tuple[U8, I64]


@dataclass(frozen=True, kw_only=True)
class EncodedList:
    """One list of each of G records."""

    key: str
    values: U8
    """Values of all records, encoded."""
    splits: I64
    """Record g has the bytes splits[g] to splits[g + 1]: int64 [G + 1]."""
    kind: Literal["int64", "float", "bytes"] = "int64"


@dataclass(frozen=True, kw_only=True)
class UserParts:
    """The encoded lists of U user contexts: uint8, and where each begins: int64 [U + 1]."""

    data: U8
    splits: I64

    @classmethod
    def of(cls, lists: Sequence[EncodedList]) -> "UserParts":
        """Put the lists of each user context one after the other."""
        from preprocess.write.record_kernel import lists_bytes, put_lists  # loads Numba

        joined, frames = _joined(lists)
        sizes = np.empty(joined[1].shape[1] - 1, np.int64)
        lists_bytes(joined, frames, sizes)
        splits = splits_of(sizes)
        data = np.empty(int(splits[-1]), np.uint8)
        put_lists(joined, frames, splits, data)
        return cls(data=data, splits=splits)


@dataclass(frozen=True, kw_only=True)
class FramedRecords:
    """G records with their frames, one after the other."""

    data: U8
    splits: I64
    """Where each begins: int64 [G + 1]."""
    crcs: Array
    """Masked CRC-32C of each message, uint32 [G]."""


def framed_records(users: UserParts, user_of_record: I64, lists: Sequence[EncodedList]) -> FramedRecords:
    """Make records of a user part and of lists of their own.

    Args:
        users: user parts
        user_of_record: index of the user part of each record, int64 [G]
        lists: the other lists of the G records
    """
    from preprocess.write.record_kernel import (  # loads Numba
        FOOT_BYTES,
        HEAD_BYTES,
        lists_bytes,
        put_records,
        record_splits,
    )

    joined, frames = _joined(lists)
    of_users = (users.data, users.splits, user_of_record)
    sizes, splits = np.empty(len(user_of_record), np.int64), np.empty(len(user_of_record) + 1, np.int64)
    lists_bytes(joined, frames, sizes)
    record_splits(of_users, sizes, splits)
    data = np.empty(int(splits[-1]), np.uint8)
    put_records(of_users, joined, frames, sizes, splits, data)
    view = data.data
    begins, ends = (splits[:-1] + HEAD_BYTES).tolist(), (splits[1:] - FOOT_BYTES).tolist()
    crc = np.array([google_crc32c.value(bytes(view[a:b])) for a, b in zip(begins, ends, strict=True)], np.uint32)
    crc = ((crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)).astype("<u4")
    data[(splits[1:, np.newaxis] - FOOT_BYTES) + np.arange(FOOT_BYTES)] = crc.view(np.uint8).reshape(-1, FOOT_BYTES)
    return FramedRecords(data=data, splits=splits, crcs=crc)


def _joined(lists: Sequence[EncodedList]) -> tuple[_Lists, _Frames]:
    """Return lists as the kernels take them."""
    begins = splits_of(np.array([len(each.values) for each in lists], np.int64))
    splits = np.stack([each.splits + begin for each, begin in zip(lists, begins.tolist(), strict=False)])
    keys = [each.key.encode() for each in lists]
    frames = (
        np.frombuffer(bytearray(b"".join(keys)), np.uint8),
        splits_of(np.array([len(key) for key in keys], np.int64)),
        np.array([_TAGS[each.kind] for each in lists], np.uint8),
        np.array([each.kind != "bytes" for each in lists], np.uint8),
    )
    return (np.concatenate([each.values for each in lists]), splits), frames


def varints(numbers: I64) -> tuple[U8, I64]:
    """Return numbers >= 0 as varints, one after the other, and where each begins: int64 [N + 1]."""
    from preprocess.write.record_kernel import put_varints, varint_splits  # loads Numba

    numbers = np.ascontiguousarray(numbers)
    splits = np.empty(len(numbers) + 1, np.int64)
    varint_splits(numbers, splits)
    out = np.empty(int(splits[-1]), np.uint8)
    put_varints(numbers, out)
    return out, splits


class FeatureEncoder:
    """Encodes the three lists (lengths, ids, weights) of user or impression features."""

    def __init__(self, fields: Sequence[Field], lengths_key: str, ids_key: str, weights_key: str) -> None:
        """Prepare for the fields of one part of the record; without a weighted field there is no list of weights."""
        self._lengths, self._ids = lengths_key, ids_key
        self._weights = weights_key if any(field.weighted for field in fields) else None

    def encode(self, rows: FeatureRows, splits: I64) -> list[EncodedList]:
        """Encode runs of rows, each run as one set of lists.

        Args:
            rows: R rows
            splits: run i is rows splits[i] to splits[i + 1], int64 [runs + 1]
        """
        num_fields = rows.lengths.shape[1]
        lengths, length_splits = varints(rows.lengths.ravel().astype(np.int64))
        ids, id_splits = varints(rows.ids)
        features = rows.row_splits[splits]
        lists = [
            EncodedList(key=self._ids, values=ids, splits=id_splits[features]),
            EncodedList(key=self._lengths, values=lengths, splits=length_splits[splits * num_fields]),
        ]
        if self._weights is not None:
            lists.append(_floats(self._weights, rows.values, features))
        return lists


def user_encoder(fields: Sequence[Field]) -> FeatureEncoder:
    """Return the encoder of the user part; each row is one run."""
    return FeatureEncoder(fields, layout.USER_LENGTHS, layout.USER_IDS, layout.USER_WEIGHTS)


def impression_encoder(fields: Sequence[Field]) -> FeatureEncoder:
    """Return the encoder of the impressions' features; each group is one run."""
    return FeatureEncoder(fields, layout.IMPRESSION_LENGTHS, layout.IMPRESSION_IDS, layout.IMPRESSION_WEIGHTS)


def no_user(fields: Sequence[Field]) -> FeatureRows:
    """Return the user part of an impression without a common row: every field empty."""
    return FeatureRows(
        lengths=np.zeros((1, len(fields)), np.int32), ids=np.zeros(0, np.int64), values=np.zeros(0, np.float32)
    )


def encode_targets(targets: Targets, splits: I64) -> list[EncodedList]:
    """Encode sample ids, labels, weights and names of n impressions in groups.

    Args:
        targets: n rows; labels hold 0 and 1, which are their own varints
        splits: group i is rows splits[i] to splits[i + 1], int64 [groups + 1]
    """
    ids, id_splits = varints(targets.sample_ids)
    labels = np.ascontiguousarray(targets.labels)
    lists = [
        EncodedList(key=layout.SAMPLE_IDS, values=ids, splits=id_splits[splits]),
        EncodedList(key=layout.LABELS, values=labels.ravel(), splits=splits * labels.shape[1]),
    ]
    if targets.weights is not None:
        lists.append(_floats(layout.SAMPLE_WEIGHTS, targets.weights, splits))
    if targets.names is not None:
        names, name_splits = byte_values(targets.names)
        lists.append(EncodedList(key=layout.SAMPLE_NAMES, values=names, splits=name_splits[splits], kind="bytes"))
    return lists


def _floats(key: str, values: Array, splits: I64) -> EncodedList:
    data = np.ascontiguousarray(values, "<f4").view(np.uint8)
    return EncodedList(key=key, values=data, splits=splits * _FLOAT_BYTES, kind="float")


def byte_values(texts: Texts) -> tuple[U8, I64]:
    """Return the values of a list of bytes, tag and length before each, and where each begins: int64 [N + 1]."""
    lengths, length_splits = varints(texts.lengths.astype(np.int64))
    text_splits = texts.splits
    data = np.concatenate((np.array([0x0A], np.uint8), lengths, texts.data))
    begins = np.stack(
        (np.zeros(len(texts.lengths), np.int64), 1 + length_splits[:-1], 1 + len(lengths) + text_splits[:-1])
    )
    sizes = np.stack((np.ones(len(texts.lengths), np.int64), np.diff(length_splits), np.diff(text_splits)))
    return gathered(data, begins.T.ravel(), sizes.T.ravel()), splits_of(sizes.sum(axis=0))
