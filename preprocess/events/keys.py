"""The keys by which events find their impressions: 128-bit hashes of the values of ``source.join``.

Values are equal as feature ids are (``esmm_dist.schema.feature_id.value_text``): 7 of Parquet, "7" and "7.0" of CSV,
and 7 of JSON are one. Two of n keys collide with probability n² / 2^129: 1 in 10^18 for 10^10 keys.
"""

from collections.abc import Sequence

import farmhash
import numpy as np
import pyarrow as pa

from esmm_dist.arrays import U64, Bools
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.sources import FlatSource
from preprocess.read.flat.columns import distinct_texts, read_column
from preprocess.read.flat.compute import pc
from preprocess.read.flat.value_texts import written_texts

_MAY_CHANGE = r"^(NaN|nan|True|False)?$|\.|e[+-]"
"""Texts that ``value_text`` may write otherwise; all others are themselves."""


def row_keys(table: pa.Table, join: Sequence[str], source: FlatSource) -> tuple[U64, Bools]:
    """Return the key of each row, uint64 [N, 2], and which rows have one: bool [N].

    Args:
        table: rows
        join: columns of the key
        source: says the decimal mark
    """
    texts = [_value_texts(table, column, source) for column in join]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "\0")
    has_key = np.asarray(joined.is_valid())
    return hashes(joined), has_key


def hashes(texts: pa.Array) -> U64:
    """Return two hashes of each text, those of a null as of the empty text: uint64 [N, 2]."""
    data = texts.cast(pa.large_binary()).fill_null(b"").to_pylist()
    fingerprint = farmhash.fingerprint128
    return np.array([fingerprint(each) for each in data], np.uint64).reshape(-1, 2)


def _value_texts(table: pa.Table, column: str, source: FlatSource) -> pa.Array:
    """Return the one text of each value, null where there is none."""
    texts = written_texts(read_column(table, column))[0]
    if source.decimal == ",":
        codes, distinct = distinct_texts(texts, source)
        found = pa.array([*(value_text(text) for text in distinct), None], pa.string())
        return found.take(pa.array(np.where(codes < 0, len(distinct), codes)))
    at = np.flatnonzero(np.asarray(pc.fill_null(pc.match_substring_regex(texts, _MAY_CHANGE), False)))
    if not len(at):
        return texts
    changed = pa.array([value_text(text) for text in texts.take(pa.array(at)).to_pylist()], pa.string())
    mask = np.zeros(len(texts), np.bool_)
    mask[at] = True
    return pc.replace_with_mask(texts, pa.array(mask), changed)
