"""One value has one id, whatever carries it; and what is not the same value has another."""

import datetime
import math
import uuid
from decimal import Decimal

import farmhash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.schema.feature_id import feature_id, may_have_lost_digits, value_text

UUID = uuid.UUID("3f2c5a1e-0000-4000-8000-00000000000a")


def test_the_id_is_a_hash_of_field_and_text_and_is_fixed_for_ever():
    """A golden value: a saved model would not fit its data any more if this changed."""
    assert feature_id("item", "4") == farmhash.fingerprint64(b"item\x004") % 2**63 == 9010455014728244030
    assert feature_id("item", "4") != feature_id("shop", "4")


SAME = [
    ["111", "111.0", "111.00", 111, 111.0, Decimal(111), Decimal("111.00"), Decimal("1.11E2"), b"111", b"111.0"],
    [111, np.int8(111), np.uint64(111), np.float16(111), np.float32(111), np.float64(111)],
    ["0", "0.0", "-0.0", 0, 0.0, -0.0, Decimal("-0.0")],
    ["-5", "-5.0", -5, np.float32(-5)],
    ["0.1", 0.1, np.float16(0.1), np.float32(0.1), np.float64(0.1), "1.0E-1", "1e-01"],
    ["12345678", 12345678, "1.2345678E7", 12345678.0],  # as Java, and so Spark, writes it
    ["100000", "1e+05", 100000],  # as R writes it
    ["10000000000000000", 10**16, 1e16, "1e+16", "10000000000000000.0"],
    ["100000000000000000000000", 10**23, 1e23, "1e+23"],  # the float is 99999999999999991611392
    ["1152921504606846976", 2**60, 2.0**60, "1.152921504606847e+18", np.float32(2**60)],
    ["0.00001", 1e-5, "1e-05", "1.0E-5", np.float32(1e-5)],
    ["true", "True", True, np.True_],
    ["2024-01-31", datetime.date(2024, 1, 31)],
    ["2024-01-31 09:30:00", "2024-01-31 09:30:00.000", datetime.datetime(2024, 1, 31, 9, 30)],
    ["2024-01-31 09:30:00.25", "2024-01-31 09:30:00.250000", datetime.datetime(2024, 1, 31, 9, 30, 0, 250_000)],
    [
        datetime.datetime(2024, 1, 31, 9, 30, tzinfo=datetime.UTC),
        datetime.datetime(2024, 1, 31, 10, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
        "2024-01-31 09:30:00+00:00",
    ],
    [UUID, str(UUID)],
    [b"\xff\x00", "ff00"],
    ["ø", "ø".encode()],
]
MISSING = [None, "", "NaN", "nan", math.nan, np.float32("nan"), Decimal("nan"), b""]
APART = [
    "7",
    "07",
    "007",
    "007.0",
    "+7",
    " 7",
    "7 ",
    "7.",
    "7,0",
    "1.1",
    "1.10",
    "1.100",
    "1.0.0",
    "5e3",
    "5E3",
    "12e10",
]


@pytest.mark.parametrize("values", SAME, ids=lambda values: str(values[0]))
def test_values_that_are_one_have_one_id(values: list[object]):
    assert len({feature_id("item", value) for value in values}) == 1
    assert feature_id("item", values[0]) is not None


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_missing_value_has_no_id(value: object):
    assert feature_id("item", value) is None


def test_codes_and_versions_that_only_look_like_numbers_stay_apart():
    assert len({feature_id("item", text) for text in APART}) == len(APART)
    assert [value_text(text) for text in APART] == APART


@given(st.one_of(st.text(), st.from_regex(r"-?[0-9]*\.?[0-9]*([eE][+-]?[0-9]{1,3})?", fullmatch=True)))
def test_the_text_of_a_text_is_its_own_text(text: str):
    once = value_text(text)
    assert once is None or value_text(once) == once


@given(st.floats(allow_nan=False, width=64))
def test_a_float_is_the_number_that_its_texts_say(value: float):
    """Python's and pandas's text, the exact decimal of whole numbers, and the text of another day, read back."""
    text = value_text(value)
    assert text is not None
    assert value_text(repr(value)) == value_text(np.float64(value)) == text
    assert float(text) == value
    if abs(value) < 2**63 and value == int(value):
        assert value_text(int(value)) == value_text(Decimal(value)) == text


@given(st.sampled_from([np.float16, np.float32]), st.floats(allow_nan=False, allow_infinity=False, width=16))
def test_a_narrow_float_has_the_shortest_text_of_its_width(kind: type[np.floating], value: float):
    text = value_text(kind(value))
    assert text is not None
    assert kind(text) == kind(value)
    assert text == (str(int(value)) if value == int(value) else np.format_float_positional(kind(value), trim="-"))


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        (2.0**53, True),
        (2.0**53 - 1, False),
        (np.float32(2**24), True),
        (np.float32(2**24 - 1), False),
        (np.float16(2048), True),
        (-(2.0**53), True),
        ("9007199254740992.0", True),
        ("9007199254740991.0", False),
        ("1.2345678901234568e+17", True),
        ("9007199254740993", False),  # no float wrote this text
        (2**60, False),
        (np.int64(2**60), False),
        (Decimal(2**60), False),
        (math.inf, False),
        (math.nan, False),
        ("1e+999", False),
    ],
    ids=str,
)
def test_floats_that_may_stand_for_several_whole_numbers_are_found(value: object, lost: bool):
    assert may_have_lost_digits(value) is lost


def test_what_is_no_value_is_refused_by_type():
    with pytest.raises(TypeError, match=r"\['a'\] is a list, which has no feature id: give a text or a number"):
        feature_id("item", ["a"])
