"""Messages go over the wire and come back, and what is not a message is refused by name."""

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.errors import NumericalError
from esmm_dist.parameter_server.record_batches import (
    check_schema,
    decode_ids,
    decode_values,
    encode_push,
    encode_values,
    push_schema,
)
from esmm_dist.parameter_server.refusals import RequestError

IDS = np.array([-5, 2, 1 << 62], dtype=np.int64)
VALUES = np.array([[1.0, -2.5], [0.0, 3e-5], [1e-3, 60000.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("form", "relative"),
    [
        ("float32", 0.0),
        ("bfloat16", 2.0**-8),  # 8 bits of precision, rounded to nearest
        ("float16", 2.0**-11),
    ],
)
def test_values_come_back_to_the_precision_of_their_form(form, relative):
    batch = encode_values(VALUES, form)
    back = decode_values(batch.column(0), form, table="t")
    assert back.dtype == np.float32
    # 3e-5 is subnormal as float16, where the spacing is 2^-24
    np.testing.assert_allclose(back, VALUES, rtol=relative, atol=2.0**-25 if form == "float16" else 0)
    assert batch.nbytes == VALUES.size * (4 if form == "float32" else 2)


def test_a_slice_of_a_batch_gives_its_own_values():
    batch = encode_push(IDS, VALUES, None, "float32").slice(1, 2)
    np.testing.assert_array_equal(decode_values(batch.column(1), "float32", table="t"), VALUES[1:])
    np.testing.assert_array_equal(decode_ids(batch.column(0), table="t"), IDS[1:])


def test_no_rows_are_a_message_too():
    batch = encode_push(IDS[:0], VALUES[:0], IDS[:0], "bfloat16")
    assert decode_values(batch.column(1), "bfloat16", table="t").shape == (0, 2)


def test_a_value_that_its_form_cannot_carry_is_an_error_that_names_it():
    with pytest.raises(NumericalError, match="has the value 7e.04, which --wire float16 cannot carry"):
        encode_values(np.array([[7e4]], dtype=np.float32), "float16")
    encode_values(np.array([[7e4]], dtype=np.float32), "bfloat16")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            push_schema("float32", 3, with_counts=False),
            r"column 'gradient' is fixed_size_list.*\[3\], expected .*\[2\]",
        ),
        (
            push_schema("float16", 2, with_counts=False),
            "column 'gradient' is .*halffloat.*, expected .*float",
        ),
        (
            push_schema("float32", 2, with_counts=True),
            r"has columns \['id', 'gradient', 'count'\], expected",
        ),
        (
            pa.schema([("id", pa.int32()), ("gradient", pa.list_(pa.float32(), 2))]),
            "column 'id' is int32, expected int64",
        ),
    ],
)
def test_another_schema_is_refused_with_the_table_the_column_and_both_types(schema, message):
    with pytest.raises(RequestError, match=f"table 'main': .*{message}"):
        check_schema(schema, push_schema("float32", 2, with_counts=False), table="main")


def test_nulls_are_refused():
    with pytest.raises(RequestError, match="table 't': the request has 1 nulls"):
        decode_ids(pa.array([1, None]), table="t")
    values = pa.array([[1.0, 2.0], None], type=pa.list_(pa.float32(), 2))
    with pytest.raises(RequestError, match="nulls among its values"):
        decode_values(values, "float32", table="t")
    with pytest.raises(RequestError, match="nulls among its values"):
        decode_values(pa.array([[1.0, None]], type=pa.list_(pa.float32(), 2)), "float32", table="t")
