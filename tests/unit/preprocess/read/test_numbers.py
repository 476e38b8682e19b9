"""Ids and weights in texts."""

import time

import pytest

from preprocess.read.numbers import MAX_ID, parse_value, whole_number
from preprocess.read.rejects import Reason


@pytest.mark.parametrize(
    ("text", "number"),
    [(b"0", 0), (b"007", 7), (str(MAX_ID).encode(), MAX_ID), (b"0" * 30 + b"1", 1)],
)
def test_digits_up_to_the_largest_id_are_whole_numbers(text: bytes, number: int):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", [b"", b"-1", b"+1", b"1.0", b" 1", b"1e3", b"0x1", b"\xd9\xa1", b"1_0"])
def test_everything_else_is_none(text: bytes):
    assert whole_number(text) is None


@pytest.mark.parametrize("text", [str(MAX_ID + 1).encode(), b"9" * 40])
def test_numbers_beyond_63_bits_are_none(text: bytes):
    assert whole_number(text) is None


def test_a_text_of_a_million_digits_is_refused_at_once():
    began = time.process_time()
    assert whole_number(b"9" * 1_000_000) is None
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"0", 0.0), (b"1.", 1.0), (b".5", 0.5), (b"2.5e-1", 0.25), (b"1E+2", 100.0), (b"-0.0", 0.0), (b"1e-999", 0.0)],
)
def test_decimal_numbers_of_zero_or_more_are_weights(text: bytes, value: float):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.NON_NUMERIC_VALUE),
        (b"+1", Reason.NON_NUMERIC_VALUE),
        (b"1,5", Reason.NON_NUMERIC_VALUE),
        (b"0x10", Reason.NON_NUMERIC_VALUE),
        (b"-0.1", Reason.NEGATIVE_VALUE),
        (b"-1e999", Reason.NEGATIVE_VALUE),
        (b"nan", Reason.NOT_FINITE_VALUE),
        (b"-Infinity", Reason.NOT_FINITE_VALUE),
        (b"3.5e38", Reason.NOT_FINITE_VALUE),  # float32 ends at 3.4028235e38
    ],
)
def test_what_is_no_weight_has_a_reason(text: bytes, reason: Reason):
    assert parse_value(text) == reason
