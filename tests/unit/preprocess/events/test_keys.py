"""Keys of rows: equal where the values are, in whatever type."""

import datetime

import numpy as np
import pyarrow as pa

from esmm_dist.schema.sources import FlatSource
from preprocess.events.keys import row_keys

SOURCE = FlatSource(form="flat", files={"train": "x.csv"}, labels={})


def keys(source: FlatSource = SOURCE, **columns: pa.Array) -> tuple[list[tuple[int, int]], list[bool]]:
    found, has_key = row_keys(pa.table(columns), list(columns), source)
    return [tuple(key) for key in found.tolist()], has_key.tolist()


def test_values_that_are_one_id_are_one_key():
    forms = [
        pa.array(["7"]),
        pa.array(["7.0"]),
        pa.array([7]),
        pa.array([7.0], pa.float32()),
        pa.array(["7"]).dictionary_encode(),
    ]
    assert len({keys(a=form)[0][0] for form in forms}) == 1
    assert keys(a=pa.array(["True"]))[0] == keys(a=pa.array([True]))[0]
    day = datetime.date(2024, 1, 31)
    assert keys(a=pa.array([day]))[0] == keys(a=pa.array(["2024-01-31"]))[0]
    comma = FlatSource(form="flat", files={"train": "x.csv"}, labels={}, decimal=",")
    assert keys(comma, a=pa.array(["7,0", None]))[0][0] == keys(a=pa.array([7]))[0][0]


def test_other_values_are_other_keys():
    texts = ["7", "07", " 7", "x", "1e5", "5e-20", "12fe-34", "1.25", "1.250", *(f"r{n}" for n in range(1000))]
    assert len(set(keys(a=pa.array(texts))[0])) == len(texts)
    one, two = keys(a=pa.array(["a", "ab"]), b=pa.array(["bc", "c"]))[0]
    assert one != two


def test_row_without_a_value_has_no_key():
    _, has_key = keys(a=pa.array(["x", None, "", "NaN", "y"]), b=pa.array([1, 1, 1, 1, None]))
    assert has_key == [True, False, False, False, False]
    _, has_key = keys(a=pa.array([1.5, np.nan]))
    assert has_key == [True, False]
