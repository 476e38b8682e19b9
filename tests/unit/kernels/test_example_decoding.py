"""Records are decoded as ``tf.io.parse_example`` does, and any bytes are refused or decoded, never read beyond."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.kernels.example_decoding import (
    BYTES_LIST,
    FLOAT_LIST,
    INT64_LIST,
    find_bytes,
    find_lists,
    read_float,
    read_int64,
)
from tests.support.reference.tensorflow_reading import parsed
from tests.support.wire_examples import WireExamples

TYPES = {INT64_LIST: tf.int64, FLOAT_LIST: tf.float32, BYTES_LIST: tf.string}
INTS = {"a": INT64_LIST, "bb": INT64_LIST, "": INT64_LIST}
ALL = {"a": INT64_LIST, "bb": INT64_LIST, "f": FLOAT_LIST, "s": BYTES_LIST}


def decoded(records: list[bytes], kinds: dict[str, int]) -> dict[str, tuple[list, list[int]]] | None:
    """Return values and their number in each record by key; None if the records are refused."""
    # What stands behind the records is no part of them: if it is read, it is taken for values
    data = np.frombuffer(bytearray(b"".join(records) + b"\x01" * 64), dtype=np.uint8)
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    keys = np.frombuffer(bytearray("".join(kinds).encode()), dtype=np.uint8)
    key_ends = np.cumsum([len(key) for key in kinds], dtype=np.int64)
    places = np.full((len(kinds), len(records), 4), -7)
    if find_lists(data, ends, keys, key_ends, np.array(list(kinds.values())), places) >= 0:
        return None
    found = {}
    for (key, kind), lists in zip(kinds.items(), places, strict=True):
        size = int(lists[:, 3].sum())
        numbers, bits, spans = np.empty(size, np.int64), np.empty(size, np.uint32), np.empty((size, 2), np.int64)
        values: list
        if kind == INT64_LIST:
            if read_int64(data, lists, numbers) >= 0:
                return None
            values = numbers.tolist()
        elif kind == FLOAT_LIST:
            read_float(data, lists, bits.view(np.uint8))
            values = bits.tolist()
        else:
            find_bytes(data, lists, spans)
            values = [data[begin:end].tobytes() for begin, end in spans.tolist()]
        found[key] = (values, lists[:, 3].tolist())
    return found


def expected(records: list[bytes], kinds: dict[str, int]) -> dict[str, tuple[list, list[int]]] | None:
    """Return what TensorFlow finds; floats as their bits."""
    spec = {key: tf.io.RaggedFeature(TYPES[kind], row_splits_dtype=tf.int64) for key, kind in kinds.items()}
    found = parsed(records, spec)
    if found is None:
        return None
    return {
        key: (values.view(np.uint32).tolist() if values.dtype == np.float32 else values.tolist(), sizes.tolist())
        for key, (values, sizes) in found.items()
    }


def harmless(record: bytes) -> bool:
    """Tell whether TensorFlow can be asked: of bytes and floats, it reserves memory for any length and then crashes."""
    return re.search(rb"[\x80-\xff]{4}", record) is None


@settings(max_examples=1000)
@given(seed=st.integers(0, 2**32 - 1), kinds=st.sampled_from([INTS, ALL]))
def test_records_that_are_wrong_in_any_way_are_decoded_or_refused_as_tensorflow_does(seed, kinds):
    examples = WireExamples(seed, kinds)
    records = [examples.example() for _ in range(seed % 3 + 1)]
    found = decoded(records, kinds)
    if found is not None or kinds is INTS or all(map(harmless, records)):
        assert found == expected(records, kinds)


@settings(max_examples=1000)
@given(records=st.lists(st.binary(max_size=30), min_size=1, max_size=2))
def test_any_bytes_are_decoded_or_refused_as_tensorflow_does(records):
    assert decoded(records, INTS) == expected(records, INTS)


@given(
    ints=st.lists(st.integers(-(2**63), 2**63 - 1)),
    floats=st.lists(st.floats(width=32)),
    texts=st.lists(st.binary(max_size=200)),
)
def test_what_the_library_of_protocol_buffers_writes_is_read(ints, floats, texts):
    features = {
        "other": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2])),
        "a": tf.train.Feature(int64_list=tf.train.Int64List(value=ints)),
        "f": tf.train.Feature(float_list=tf.train.FloatList(value=floats)),
        "s": tf.train.Feature(bytes_list=tf.train.BytesList(value=texts)),
    }
    record = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    found = decoded([record, b"", record], ALL)
    bits = np.array(floats, dtype=np.float32).view(np.uint32).tolist()
    assert found == {
        "a": (ints * 2, [len(ints), 0, len(ints)]),
        "bb": ([], [0, 0, 0]),
        "f": (bits * 2, [len(floats), 0, len(floats)]),
        "s": (texts * 2, [len(texts), 0, len(texts)]),
    }


def example_of(int64_list: bytes) -> bytes:
    """Return a record whose feature "a" has these bytes as its list."""
    feature = bytes([INT64_LIST, len(int64_list)]) + int64_list
    entry = b"\x0a\x01a\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


@pytest.mark.parametrize(
    ("int64_list", "values"),
    [
        (b"\x0a\x03\x01\xac\x02", [1, 300]),  # packed
        (b"\x08\x01\x08\xac\x02", [1, 300]),  # singly
        (b"\x0a\x0a" + b"\xff" * 9 + b"\x01", [-1]),
        (b"\x0a\x0b" + b"\xff" * 10 + b"\x01", None),  # a number of 11 bytes
        (b"\x08" + b"\xff" * 10 + b"\x01", None),
        (b"\x0a\x01\x81", None),  # a number without an end
        (b"\x08\x81", None),
        (b"\x0a\x01\x05\x0a\x01\x06", [5]),  # of several packed blocks TensorFlow reads the first
        (b"\x0a\x05\x05\x06", [5, 6]),  # its length reaches beyond the list
        (b"\x08\x05\x0a\x01\x06", None),
        (b"\x0d\x01\x02\x03\x04", None),  # a float
        (b"", []),
    ],
)
def test_a_list_of_numbers_is_read_in_each_form(int64_list, values):
    record = example_of(int64_list)
    assert decoded([record], {"a": INT64_LIST}) == (None if values is None else {"a": (values, [len(values)])})
    assert expected([record], {"a": INT64_LIST}) == decoded([record], {"a": INT64_LIST})


def test_the_first_record_that_is_wrong_is_named():
    records = [example_of(b"\x08\x01"), b"\x0a", example_of(b"\x08\x81")]
    places = np.empty((1, 3, 4), dtype=np.int64)
    for order, malformed in (((0, 0, 0), -1), ((0, 1, 2), 1), ((0, 0, 2), 2)):
        chosen = [records[number] for number in order]
        data = np.frombuffer(bytearray(b"".join(chosen)), dtype=np.uint8)
        ends = np.cumsum([len(record) for record in chosen])
        key = np.frombuffer(bytearray(b"a"), dtype=np.uint8)
        found = find_lists(data, ends, key, np.array([1]), np.array([INT64_LIST]), places)
        assert found == malformed
