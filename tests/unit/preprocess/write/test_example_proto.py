"""Messages against TensorFlow and against the varint of each number."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.write.example_proto import ListFrame, encode_rows, example, varint, varints


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_varints_of_many_numbers_are_those_of_each(numbers: list[int]):
    data, splits = varints(np.array(numbers, np.int64))
    assert data == b"".join(varint(n) for n in numbers)
    assert [data[a:b] for a, b in itertools.pairwise(splits)] == [varint(n) for n in numbers]


def test_varint_of_300_is_the_one_of_the_protobuf_documentation():
    assert varint(300) == bytes([0xAC, 0x02])


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_tensorflow_reads_the_messages(size: int):
    """Lengths around each change in the number of bytes of a varint."""
    import tensorflow as tf

    numbers = np.arange(size) % 100
    data, splits = varints(numbers)
    lists = encode_rows(ListFrame(key="n"), data, splits[[0, size]])[0]
    floats = (numbers / 4).astype("<f4").tobytes()
    lists += encode_rows(ListFrame(key="f", kind="float"), floats, np.array([0, len(floats)]))[0]
    feature = tf.train.Example.FromString(example(lists)).features.feature
    assert list(feature["n"].int64_list.value) == numbers.tolist()
    assert list(feature["f"].float_list.value) == (numbers / 4).tolist()
