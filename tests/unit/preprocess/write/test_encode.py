"""Records against TensorFlow, and against those of a plain encoder that makes one message at a time."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.arrays import I64
from preprocess.read.texts import Texts
from preprocess.write.encode import EncodedList, UserParts, byte_values, framed_records, varints
from tests.support.reference.example_proto import ListFrame, bytes_value, encode_rows, example, varint
from tests.support.reference.tfrecord import frame

SIZES = st.one_of(st.integers(0, 3), st.sampled_from([126, 127, 128, 129, 16_383, 16_384, 16_400]))
KINDS = ("int64", "float", "bytes")


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_varints_of_many_numbers_are_those_of_each(numbers: list[int]):
    data, splits = varints(np.array(numbers, np.int64))
    assert data.tobytes() == b"".join(varint(n) for n in numbers)
    assert [data[a:b].tobytes() for a, b in itertools.pairwise(splits)] == [varint(n) for n in numbers]


def test_varint_of_300_is_the_one_of_the_protobuf_documentation():
    assert varints(np.array([300]))[0].tolist() == [0xAC, 0x02]


def encoded(key: str, kind: str, sizes: list[int], seed: int) -> EncodedList:
    splits = np.append(0, np.cumsum(sizes)).astype(np.int64)
    values = np.random.default_rng(seed).integers(0, 256, int(splits[-1])).astype(np.uint8)
    return EncodedList(key=key, values=values, splits=splits, kind=kind)  # type: ignore[arg-type]


def plainly(lists: list[EncodedList]) -> list[bytes]:
    """The lists of each record, made one by one."""
    rows = [encode_rows(ListFrame(key=x.key, kind=x.kind), x.values.tobytes(), x.splits) for x in lists]
    return [b"".join(parts) for parts in zip(*rows, strict=True)]


@st.composite
def lists_of_records(draw: st.DrawFn, records: int) -> list[EncodedList]:
    keys = draw(st.lists(st.sampled_from(["a", "user_ids", "k" * 130]), min_size=1, max_size=3, unique=True))
    return [
        encoded(
            key,
            draw(st.sampled_from(KINDS)),
            draw(st.lists(SIZES, min_size=records, max_size=records)),
            draw(st.integers(0, 99)),
        )
        for key in keys
    ]


@given(data=st.data())
def test_records_are_those_of_the_plain_encoder(data: st.DataObject):
    users = data.draw(lists_of_records(2))
    own = data.draw(lists_of_records(4))
    user_of_record: I64 = np.array(data.draw(st.lists(st.integers(0, 1), min_size=4, max_size=4)), np.int64)
    records = framed_records(UserParts.of(users), user_of_record, own)
    expected = [
        frame(example(plainly(users)[user] + mine)) for user, mine in zip(user_of_record, plainly(own), strict=True)
    ]
    assert [records.data[a:b].tobytes() for a, b in itertools.pairwise(records.splits)] == expected
    assert [crc.tobytes() for crc in records.crcs] == [record[-4:] for record in expected]


@given(st.lists(st.binary(max_size=200), max_size=9))
def test_texts_become_values_of_a_list_of_bytes(texts: list[bytes]):
    lengths = np.array([len(text) for text in texts], np.int32)
    values, splits = byte_values(Texts(lengths=lengths, data=np.frombuffer(b"".join(texts), np.uint8)))
    assert [values[a:b].tobytes() for a, b in itertools.pairwise(splits)] == [bytes_value(text) for text in texts]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_tensorflow_reads_the_messages(size: int):
    """Lengths around each change in the number of bytes of a varint."""
    import tensorflow as tf

    numbers = np.arange(size) % 100
    data, splits = varints(numbers)
    floats = (numbers / 4).astype("<f4")
    names, name_splits = byte_values(Texts(lengths=np.array([size], np.int32), data=np.full(size, 65, np.uint8)))
    lists = [
        EncodedList(key="n", values=data, splits=splits[[0, size]]),
        EncodedList(key="f", values=floats.view(np.uint8), splits=np.array([0, 4 * size]), kind="float"),
        EncodedList(key="b", values=names, splits=name_splits, kind="bytes"),
    ]
    record = framed_records(UserParts.of(lists[:1]), np.zeros(1, np.int64), lists[1:]).data.tobytes()
    feature = tf.train.Example.FromString(record[12:-4]).features.feature
    assert list(feature["n"].int64_list.value) == numbers.tolist()
    assert list(feature["f"].float_list.value) == (numbers / 4).tolist()
    assert list(feature["b"].bytes_list.value) == [b"A" * size]


def test_tensorflow_reads_the_frames(tmp_path):
    import tensorflow as tf

    lists = [encoded("n", "int64", [3, 5000], 1)]
    users = UserParts.of([EncodedList(key="u", values=np.zeros(0, np.uint8), splits=np.zeros(2, np.int64))])
    (tmp_path / "x").write_bytes(framed_records(users, np.zeros(2, np.int64), lists).data.tobytes())
    read = [record.numpy() for record in tf.data.TFRecordDataset([str(tmp_path / "x")])]
    assert read == [example(own) for own in plainly(lists)]
