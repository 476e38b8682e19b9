"""Encode user parts and impressions as the lists of a record (layout: ``esmm_dist/schema/record_format.py``)."""

from collections.abc import Sequence

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.schema import record_format as layout
from esmm_dist.schema.fields import Field
from preprocess.read.feature_rows import FeatureRows, splits_of
from preprocess.read.row_files import Targets
from preprocess.write.example_proto import ListFrame, bytes_value, encode_rows, varints

_FLOAT_BYTES = 4


class FeatureEncoder:
    """Encodes the three lists (lengths, ids, weights) of user or impression features."""

    def __init__(self, fields: Sequence[Field], lengths_key: str, ids_key: str, weights_key: str) -> None:
        """Prepare for the fields of one part of the record; without a weighted field there is no list of weights."""
        self._lengths = ListFrame(key=lengths_key)
        self._ids = ListFrame(key=ids_key)
        self._weights = ListFrame(key=weights_key, kind="float") if any(field.weighted for field in fields) else None

    def encode(self, rows: FeatureRows, splits: I64) -> list[bytes]:
        """Encode runs of rows, each run as one set of lists.

        Args:
            rows: R rows
            splits: run i is rows splits[i] to splits[i + 1], int64 [runs + 1]
        """
        num_fields = rows.lengths.shape[1]
        length_bytes, length_splits = varints(rows.lengths.ravel().astype(np.int64))
        id_bytes, id_splits = varints(rows.ids)
        features = rows.row_splits()[splits]
        parts = [
            encode_rows(self._ids, id_bytes, id_splits[features]),
            encode_rows(self._lengths, length_bytes, length_splits[splits * num_fields]),
        ]
        if self._weights is not None:
            values = np.ascontiguousarray(rows.values, "<f4").tobytes()
            parts.append(encode_rows(self._weights, values, features * _FLOAT_BYTES))
        return [b"".join(lists) for lists in zip(*parts, strict=True)]


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


class TargetEncoder:
    """Encodes sample ids and labels of groups."""

    def __init__(self) -> None:
        """Prepare the frames."""
        self._sample_ids = ListFrame(key=layout.SAMPLE_IDS)
        self._sample_names = ListFrame(key=layout.SAMPLE_NAMES, kind="bytes")
        self._sample_weights = ListFrame(key=layout.SAMPLE_WEIGHTS, kind="float")
        self._labels = ListFrame(key=layout.LABELS)

    def encode(self, targets: Targets, splits: I64) -> list[bytes]:
        """Encode n impressions in groups; labels hold 0 and 1, which are their own varints.

        Args:
            targets: n rows
            splits: group i is rows splits[i] to splits[i + 1], int64 [groups + 1]
        """
        id_bytes, id_splits = varints(targets.sample_ids)
        labels, weights = targets.labels, targets.weights
        parts = [
            encode_rows(self._sample_ids, id_bytes, id_splits[splits]),
            encode_rows(self._labels, labels.tobytes(), splits * labels.shape[1]),
        ]
        if weights is not None:
            parts.append(encode_rows(self._sample_weights, weights.astype("<f4").tobytes(), splits * _FLOAT_BYTES))
        if targets.names is not None:
            values = [bytes_value(name) for name in targets.names.to_list()]
            value_splits = splits_of(np.array([len(value) for value in values], np.int64))
            parts.append(encode_rows(self._sample_names, b"".join(values), value_splits[splits]))
        return [b"".join(lists) for lists in zip(*parts, strict=True)]
